use super::*;
use expect_test::{Expect, expect};

const EVENT: &str = r#"{"id":"c9d8b87e-32f2-5469-978d-0293e1c17075","revision":1,"phase":"start","kind":"red_light","rule":"red","site":"hanoi","box":"box-01","camera":"gate","place":{"name":"Ngã tư Sở","latitude":21.0034,"longitude":105.8201},"severity":"major","title":{"vi":"Vượt đèn đỏ","en":"Red-light running"},"onset":"2026-11-26T00:00:00.388741Z","decided":{"frame":5,"time":"2026-11-26T00:00:00.600000Z"},"ended":"2026-11-26T00:00:00.600000Z","time_quality":"rtcp","zone":"stop-line","actors":[{"track":"t80000000000186a0.0","class":"motorcycle","score":0.679,"box":[0.5,0.7,0.06,0.12]}],"facts":{"class":"motorcycle","red_for_s":0.289},"explanation":[{"name":"signal_at_crossing","label":{"vi":"Trạng thái đèn khi vượt vạch dừng","en":"Signal when the stop line was crossed"},"value":"red","comparison":"=","threshold":"red","holds":true,"first":{"frame":2,"time":"2026-11-26T00:00:00.300000Z"},"last":{"frame":5,"time":"2026-11-26T00:00:00.600000Z"}},{"name":"red_for_at_crossing","label":{"vi":"Đèn đã đỏ trước khi vượt vạch","en":"Red for, before the crossing"},"value":0.289,"comparison":">=","threshold":0.1,"margin":0.189,"unit":"s","holds":true,"first":{"frame":2,"time":"2026-11-26T00:00:00.300000Z"},"last":{"frame":5,"time":"2026-11-26T00:00:00.600000Z"}},{"name":"class","label":{"vi":"Loại đối tượng","en":"Class by vote"},"value":"motorcycle","comparison":"=","threshold":"car, motorcycle","holds":true,"first":{"frame":5,"time":"2026-11-26T00:00:00.600000Z"},"last":{"frame":5,"time":"2026-11-26T00:00:00.600000Z"}}],"provenance":{"agent":"0.1.0","model":"yolox-nano"}}"#;

const MISS: &str = r#"{"rule":"stopped","kind":"stopped_vehicle","zone":"road","subject":"t80000000000186a0.0","onset":"2026-11-26T00:00:00Z","nearest":{"frame":90,"time":"2026-11-26T00:00:09Z"},"actors":[],"failed":["dwell"],"explanation":[{"name":"dwell","label":{"vi":"Thời gian dừng","en":"Stood for"},"value":9.0,"comparison":">=","threshold":10.0,"margin":-1.0,"unit":"s","holds":false,"first":{"frame":0,"time":"2026-11-26T00:00:00Z"},"last":{"frame":90,"time":"2026-11-26T00:00:09Z"}}]}"#;

fn check(language: Language, event: &Expect, miss: &Expect) {
    let teller = Teller {
        language,
        utc_offset_min: 420,
    };
    event.assert_eq(&teller.event(&[serde_json::from_str(EVENT).unwrap()]));
    miss.assert_eq(&teller.near_miss(&serde_json::from_str(MISS).unwrap()));
}

#[test]
fn in_english() {
    check(
        Language::En,
        &expect![[r"
        Red-light running
          Event: c9d8b87e-32f2-5469-978d-0293e1c17075
          Who: motorcycle (detector's score 68 %), track t80000000000186a0.0.
          What: Red-light running (red_light, rule `red`).
          When: began 2026-11-26 07:00:00.388 (+07:00); decided at frame 5 (07:00:00.600); over 07:00:00.600 (0.2 s). Times are by the camera's clock.
          Where: Ngã tư Sở (21.0034, 105.8201), camera gate, box hanoi/box-01, zone or line `stop-line`.
          Why (each of these had to be true, and was):
            1. Signal when the stop line was crossed: red, as needed. [frames 2–5, 07:00:00.300–07:00:00.600 (0.3 s)]
            2. Red for, before the crossing: 0.289 s; needed: at least 0.1 s; 0.189 s to spare. [frames 2–5, 07:00:00.300–07:00:00.600 (0.3 s)]
            3. Class by vote: motorcycle; needed: one of car, motorcycle. [frame 5 (07:00:00.600)]
          Facts:
              class (class) = motorcycle
              red for, s (red_for_s) = 0.289
          Made by: edge-agent 0.1.0, model yolox-nano.
    "]],
        &expect![[r"
        Nearly an event (stopped_vehicle, rule `stopped`)
          Who: nobody in particular.
          When: 2026-11-26 07:00:00.000 (+07:00); nearest at frame 90 (07:00:09.000).
          What failed: dwell.
            1. Stood for: 9 s; needed: at least 10 s; 1 s missing (FAILED). [frames 0–90, 07:00:00.000–07:00:09.000 (9 s)]
    "]],
    );
}

#[test]
fn in_vietnamese() {
    check(
        Language::Vi,
        &expect![[r"
        Vượt đèn đỏ
          Mã sự kiện: c9d8b87e-32f2-5469-978d-0293e1c17075
          Ai: xe máy (độ tin cậy 68 %), vết t80000000000186a0.0.
          Việc gì: Vượt đèn đỏ (red_light, luật `red`).
          Khi nào: bắt đầu 2026-11-26 07:00:00.388 (+07:00); được xác định ở khung hình 5 (07:00:00.600); kết thúc 07:00:00.600 (0,2 s). Giờ theo đồng hồ camera.
          Ở đâu: Ngã tư Sở (21.0034, 105.8201), camera gate, thiết bị hanoi/box-01, vùng hoặc vạch `stop-line`.
          Vì sao (mọi điều dưới đây đều phải đúng, và đều đúng):
            1. Trạng thái đèn khi vượt vạch dừng: đỏ, đúng như yêu cầu. [khung hình 2–5, 07:00:00.300–07:00:00.600 (0,3 s)]
            2. Đèn đã đỏ trước khi vượt vạch: 0,289 s; cần ít nhất 0,1 s; dư 0,189 s. [khung hình 2–5, 07:00:00.300–07:00:00.600 (0,3 s)]
            3. Loại đối tượng: xe máy; cần một trong ô tô con, xe máy. [khung hình 5 (07:00:00.600)]
          Số liệu:
              loại đối tượng (class) = xe máy
              đèn đã đỏ, s (red_for_s) = 0,289
          Được tính bởi: edge-agent 0.1.0, mô hình yolox-nano.
    "]],
        &expect![[r"
        Suýt là sự kiện (stopped_vehicle, luật `stopped`)
          Ai: không ai cụ thể.
          Khi nào: 2026-11-26 07:00:00.000 (+07:00); gần nhất ở khung hình 90 (07:00:09.000).
          Không đạt: dwell.
            1. Thời gian dừng: 9 s; cần ít nhất 10 s; thiếu 1 s (KHÔNG ĐẠT). [khung hình 0–90, 07:00:00.000–07:00:09.000 (9 s)]
    "]],
    );
}

#[test]
fn the_models_of_second_looks_are_told() {
    let mut event: Event = serde_json::from_str(EVENT).unwrap();
    let second = format!(
        r#"[{{"model":"ppocr-v4-det","model_digest":"{}"}},{{"model":"ppocr-v4-rec","version":3,"model_digest":"{}"}}]"#,
        "1c".repeat(32),
        "2c".repeat(32)
    );
    event.provenance.second = serde_json::from_str(&second).unwrap();
    let told = |language| {
        let teller = Teller {
            language,
            utc_offset_min: 420,
        };
        let told = teller.event(std::slice::from_ref(&event));
        told.lines().last().unwrap_or_default().to_owned()
    };
    expect!["  Made by: edge-agent 0.1.0, model yolox-nano; second looks by ppocr-v4-det (1c1c1c1c1c1c…), ppocr-v4-rec@3 (2c2c2c2c2c2c…)."].assert_eq(&told(Language::En));
    expect!["  Được tính bởi: edge-agent 0.1.0, mô hình yolox-nano; được xem lại bằng ppocr-v4-det (1c1c1c1c1c1c…), ppocr-v4-rec@3 (2c2c2c2c2c2c…)."].assert_eq(&told(Language::Vi));
}

#[test]
fn a_plate_is_told_with_its_doubts_and_corrections() {
    let mut event: Event = serde_json::from_str(EVENT).unwrap();
    let plate = r#"{"text":"29B1?345","display":"29-B1 ?345","is_stated":false,"is_final":true,
        "characters":[{"symbol":"2","leading":"2","confidence":0.97,"share":1.0,"looks":4},
                      {"symbol":"?","leading":"8","confidence":0.55,"share":0.6,"looks":3}],
        "looks":4,"of":5,
        "corrections":[{"position":2,"read":"8","taken":"B","cause":"confusable","looks":1}],
        "reason":{"vi":"chưa thống nhất về 1 ký tự","en":"looks disagree on 1 character"}}"#;
    event.actors[0].plate = Some(serde_json::from_str(plate).unwrap());
    let told = |language| {
        let teller = Teller {
            language,
            utc_offset_min: 420,
        };
        let text = teller.event(std::slice::from_ref(&event));
        let about_it = text
            .lines()
            .skip_while(|line| !line.contains("29-B1"))
            .take_while(|line| !line.contains("edge-agent"));
        let legend = teller.legend(&event, None);
        let shown = [&teller.beside(&event.actors[0]), &legend[legend.len() - 1]];
        let lines = about_it.chain(shown.map(String::as_str));
        lines.collect::<Vec<_>>().join("\n")
    };
    expect![[r"
          Plate (motorcycle): 29-B1 ?345; looks disagree on 1 character.
              confidence of each character: 2 97 %, 8 55 %
              character 3: read as 8, taken for B (in 1 looks)
        motorcycle 68 % · 29-B1 ?345
        Plate (motorcycle): 29-B1 ?345 (looks disagree on 1 character)"]]
    .assert_eq(&told(Language::En));
    expect![[r"
          Biển số (xe máy): 29-B1 ?345; chưa thống nhất về 1 ký tự.
              độ tin cậy từng ký tự: 2 97 %, 8 55 %
              ký tự 3: máy đọc là 8, hiểu là B (1 lần nhìn)
        xe máy 68 % · 29-B1 ?345
        Biển số (xe máy): 29-B1 ?345 (chưa thống nhất về 1 ký tự)"]]
    .assert_eq(&told(Language::Vi));
}

#[test]
fn the_legend_of_a_still_speaks_one_language_and_local_time() {
    let mut event: Event = serde_json::from_str(EVENT).unwrap();
    event.explanation[1].unit = "box heights".into();
    let legend = |language| {
        let utc_offset_min = 420;
        let teller = Teller {
            language,
            utc_offset_min,
        };
        (
            teller.beside(&event.actors[0]),
            teller.legend(&event, None).join("\n"),
        )
    };
    let (beside, text) = legend(Language::Vi);
    assert_eq!(beside, "xe máy 68 %");
    expect![[r"
        Vượt đèn đỏ
        2026-11-26 07:00:00.600 (+07:00). Giờ theo đồng hồ camera. hanoi gate Ngã tư Sở
        Trạng thái đèn khi vượt vạch dừng: đỏ = đỏ
        Đèn đã đỏ trước khi vượt vạch: 0,289 ≥ 0,1 chiều cao khung
        Loại đối tượng: xe máy (một trong ô tô con, xe máy)"]]
    .assert_eq(&text);
    let (beside, text) = legend(Language::En);
    assert_eq!(beside, "motorcycle 68 %");
    expect![[r"
        Red-light running
        2026-11-26 07:00:00.600 (+07:00). Times are by the camera's clock. hanoi gate Ngã tư Sở
        Signal when the stop line was crossed: red = red
        Red for, before the crossing: 0.289 ≥ 0.1 box heights
        Class by vote: motorcycle (one of car, motorcycle)"]]
    .assert_eq(&text);
}
