//! Names of facts, units, and the few values that are words, in both languages.
//! What is not known here stays as the event has it.

/// What a fact is called, with its unit: Vietnamese, English.
pub(super) fn fact(key: &str) -> Option<(&'static str, &'static str)> {
    let words = match key {
        "absent_s" => ("vắng mặt, s", "absent, s"),
        "across_m" => ("bề ngang, m", "across, m"),
        "against_lamp" => ("đèn khi đi", "signal when driving off"),
        "against_lane_s" => ("đi ngược chiều làn, s", "against the lane, s"),
        "approach" => ("hướng đến", "approach"),
        "band" => ("khung mức phạt", "band of the fine"),
        "bare_heads" => ("đầu không mũ bảo hiểm", "heads without a helmet"),
        "basis" => ("đo theo", "measured in"),
        "certain_kmh" => ("tốc độ chắc chắn, km/h", "certain speed, km/h"),
        "class" => ("loại đối tượng", "class"),
        "condition" => ("tình trạng", "condition"),
        "crossing_x" => (
            "điểm vượt vạch, phần chiều rộng hình",
            "crossing point, part of the picture's width",
        ),
        "crossing_y" => (
            "điểm vượt vạch, phần chiều cao hình",
            "crossing point, part of the picture's height",
        ),
        "distance_m" => ("quãng đường, m", "distance, m"),
        "driven_s" => ("đã chạy, s", "driven for, s"),
        "duration_s" => ("kéo dài, s", "lasted, s"),
        "dwell_s" => ("thời gian ở lại, s", "stayed for, s"),
        "end_reason" => ("lý do kết thúc", "why it ended"),
        "entry_line" => ("vạch vào", "entry line"),
        "excused_s" => ("được miễn tính, s", "excused, s"),
        "exit_line" => ("vạch ra", "exit line"),
        "former_tracks" => ("các vết trước", "former tracks"),
        "growth_pct" => ("lớn thêm, %", "growth, %"),
        "heads" => ("số đầu người", "heads"),
        "hidden_s" => ("bị che khuất, s", "hidden, s"),
        "high_kmh" => ("tốc độ nhiều nhất, km/h", "speed at most, km/h"),
        "in_lane_s" => ("ở trong làn, s", "in the lane, s"),
        "length_m" => ("chiều dài, m", "length, m"),
        "limit_kmh" => ("tốc độ cho phép, km/h", "speed limit, km/h"),
        "line" => ("vạch", "line"),
        "longest_m" => ("dài nhất, m", "longest, m"),
        "low_kmh" => ("tốc độ ít nhất, km/h", "speed at least, km/h"),
        "mean_speed_kmh" => ("tốc độ trung bình, km/h", "mean speed, km/h"),
        "most_people" => ("số người nhiều nhất", "most people"),
        "most_slow_vehicles" => ("số xe chậm nhiều nhất", "most slow vehicles"),
        "occupancy" => ("độ chiếm dụng", "occupancy"),
        "over_kmh" => ("vượt quá, km/h", "over the limit, km/h"),
        "people" => ("số người", "people"),
        "plate" => ("biển số", "plate"),
        "plate_reading" => ("kết quả đọc biển số", "reading of the plate"),
        "red_for_s" => ("đèn đã đỏ, s", "red for, s"),
        "review" => ("cần người xem lại", "for a person to review"),
        "riders" => ("số người trên xe", "riders"),
        "side" => ("bên", "side"),
        "signal" => ("đèn", "signal"),
        "signal_at_crossing" => ("đèn khi vượt vạch", "signal at the crossing"),
        "signal_before_line" => ("đèn ở ảnh trước vạch", "signal, still before the line"),
        "seat" => ("ghế", "seat"),
        "signal_confidence" => ("độ tin cậy khi đọc đèn", "confidence in the signal"),
        "signal_for_before_line_s" => (
            "đèn ở ảnh trước vạch đã sáng, s",
            "signal lasted, still before the line, s",
        ),
        "signal_for_further_on_s" => (
            "đèn ở ảnh đi tiếp đã sáng, s",
            "signal lasted, still further on, s",
        ),
        "signal_for_past_line_s" => (
            "đèn ở ảnh qua vạch đã sáng, s",
            "signal lasted, still past the line, s",
        ),
        "signal_for_standing_s" => (
            "đèn ở ảnh đứng yên đã sáng, s",
            "signal lasted, still standing, s",
        ),
        "signal_further_on" => ("đèn ở ảnh đi tiếp", "signal, still further on"),
        "signal_group" => ("nhóm đèn", "signal group"),
        "signal_past_line" => ("đèn ở ảnh qua vạch", "signal, still past the line"),
        "signal_source" => ("nguồn trạng thái đèn", "who says what the signal showed"),
        "signal_standing" => ("đèn ở ảnh đứng yên", "signal, still standing"),
        "size_pct" => ("cỡ, %", "size, %"),
        "slow_vehicles" => ("số xe chậm", "slow vehicles"),
        "speed_before_kmh" => ("tốc độ trước đó, km/h", "speed before, km/h"),
        "speed_kmh" => ("tốc độ, km/h", "speed, km/h"),
        "stood_s" => ("đã đứng, s", "stood for, s"),
        "tolerance_kmh" => ("dung sai, km/h", "tolerance, km/h"),
        "turn_s" => ("thời gian rẽ, s", "turned for, s"),
        "value" => ("trị số", "value"),
        "vehicles" => ("số xe", "vehicles"),
        "way_m" => ("đường đã đi, m", "way, m"),
        "without_belt" => ("số ghế không thắt dây", "seats without a belt"),
        _ => return None,
    };
    Some(words)
}

/// A unit in Vietnamese.
pub(super) fn unit(unit: &str) -> &str {
    match unit {
        "box heights" => "chiều cao khung",
        "box heights per s" => "chiều cao khung/s",
        "picture heights" => "chiều cao hình",
        "frames" => "khung hình",
        "min" => "phút",
        other => other,
    }
}

/// A word that is a value, in Vietnamese; others are names and stay.
pub(super) fn value(text: &str) -> &str {
    match text {
        "red" => "đỏ",
        "amber" | "yellow" => "vàng",
        "green" => "xanh",
        "red_amber" => "đỏ và vàng",
        "flashing_red" => "đỏ nhấp nháy",
        "flashing_amber" => "vàng nhấp nháy",
        "dark" => "tắt",
        "unknown" => "không rõ",
        "driver" => "người lái",
        "passenger" => "người ngồi cạnh người lái",
        "picture" => "hình ảnh",
        "ground" => "mặt đất",
        "lamp" => "đèn trong hình",
        "mqtt" => "tủ điều khiển",
        "recording" => "bản ghi",
        "left" => "đã rời đi",
        "lost_from_view" => "khuất tầm nhìn",
        "stream_ended" => "hết luồng hình",
        "clock_step" => "đồng hồ bị chỉnh",
        "off_schedule" => "hết giờ áp dụng",
        "agent_restarted" => "thiết bị khởi động lại",
        other => class(other),
    }
}

/// A class of road users in Vietnamese.
pub(super) fn class(class: &str) -> &str {
    match class {
        "car" => "ô tô con",
        "motorcycle" => "xe máy",
        "bicycle" => "xe đạp",
        "truck" => "xe tải",
        "bus" => "xe buýt",
        "person" => "người",
        other => other,
    }
}
