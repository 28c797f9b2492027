"""Classes in the program's words, and what labelling tools call them.

The same words as `protocol/src/detections.rs` and `edge-agent/inference/src/evaluate/labels.rs`, so that what is
trained with can be measured with as well; a test holds them together.
"""

# Word, and its number in COCO's label files (`ObjectClass::coco_category`).
CATEGORIES: dict[str, int] = {
    "person": 1,
    "bicycle": 2,
    "motorcycle": 4,
    "car": 3,
    "bus": 6,
    "truck": 8,
    "train": 7,
    "animal": 108,
    "traffic_light": 10,
    "helmet": 110,
    "no_helmet": 111,
    "plate": 112,
    "face": 113,
    "phone": 77,
    "seat_belt": 115,
    "no_seat_belt": 116,
    "fire": 117,
    "smoke": 118,
}

_OTHER_WORDS: dict[str, str] = {
    "pedestrian": "person",
    "people": "person",
    "rider": "person",
    "bike": "bicycle",
    "cyclist": "bicycle",
    "motorbike": "motorcycle",
    "motor": "motorcycle",
    "scooter": "motorcycle",
    "lorry": "truck",
    "coach": "bus",
    "bird": "animal",
    "cat": "animal",
    "dog": "animal",
    "horse": "animal",
    "sheep": "animal",
    "cow": "animal",
    "elephant": "animal",
    "bear": "animal",
    "zebra": "animal",
    "giraffe": "animal",
    "cell_phone": "phone",
    "license_plate": "plate",
    "licence_plate": "plate",
    "number_plate": "plate",
    "seatbelt": "seat_belt",
}


def class_of(name: str) -> str | None:
    """The program's word for a labelling tool's category; None where there is none."""
    word = name.strip().lower().replace(" ", "_").replace("-", "_")
    word = _OTHER_WORDS.get(word, word)
    return word if word in CATEGORIES else None
