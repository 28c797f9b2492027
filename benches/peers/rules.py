"""The two rules that all programs of the comparison watch for, on tracks of any tracker.

`intrusion`: a person was in the zone for `ENTERED_S`. `loitering`: a person stayed there for `DWELL_S`.
A person stands where the lower edge of the box is. An absence of up to `EXIT_S` pauses both.
"""

import json

import numpy as np

ENTERED_S = 1.0
DWELL_S = 6.0
EXIT_S = 5.0


class Rules:
    """Events of tracks in a zone, one line of JSON each."""

    def __init__(self, path):
        self.out = open(path, "w", encoding="utf-8")
        self.first = {}
        self.last = {}
        self.dwelt = {}
        self.told = set()

    def look(self, time, ids, boxes, inside):
        """All tracks of a picture: who, where (pixels), and whether in the zone."""
        for who, box, is_inside in zip(ids, boxes, inside):
            if not is_inside:
                continue
            since_last = time - self.last.get(who, -1e9)
            if since_last > EXIT_S:
                self.first[who], self.dwelt[who] = time, 0.0
                self.told -= {(who, "intrusion"), (who, "loitering")}
            else:
                self.dwelt[who] += since_last
            self.last[who] = time
            for kind, needed in (("intrusion", ENTERED_S), ("loitering", DWELL_S)):
                if self.dwelt[who] >= needed and (who, kind) not in self.told:
                    self.told.add((who, kind))
                    event = {"kind": kind, "onset_s": self.first[who], "decided_s": time, "track": str(who)}
                    event["box"] = [float(v) for v in np.asarray(box)]
                    self.out.write(json.dumps(event) + "\n")

    def finish(self):
        self.out.close()
