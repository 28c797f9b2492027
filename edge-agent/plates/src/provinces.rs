//! Which two digits a plate may begin with, and whose they are.
//!
//! The codes of the 63 provinces before 1 July 2025, under the 34 of today:
//! merged provinces keep all their codes, and no plate was exchanged (Lao Động
//! 1532638, on the merger). 80 is the central bodies'.

/// Code of central bodies, issued by the Traffic Police Department itself.
pub const CENTRAL: u8 = 80;

/// Provinces and cities since 1 July 2025, with the codes on their plates.
pub const BY_PROVINCE: [(&str, &[u8]); 34] = [
    ("Cao Bằng", &[11]),
    ("Lạng Sơn", &[12]),
    ("Quảng Ninh", &[14]),
    ("Lai Châu", &[25]),
    ("Điện Biên", &[27]),
    ("Sơn La", &[26]),
    ("Thanh Hóa", &[36]),
    ("Nghệ An", &[37]),
    ("Hà Tĩnh", &[38]),
    ("Huế", &[75]),
    ("Bắc Ninh", &[98, 99]),
    ("Tuyên Quang", &[22, 23]),
    ("Lào Cai", &[21, 24]),
    ("Thái Nguyên", &[20, 97]),
    ("Hưng Yên", &[17, 89]),
    ("Quảng Trị", &[73, 74]),
    ("Đà Nẵng", &[43, 92]),
    ("Quảng Ngãi", &[76, 82]),
    ("Gia Lai", &[77, 81]),
    ("Đắk Lắk", &[47, 78]),
    ("Khánh Hòa", &[79, 85]),
    ("Tây Ninh", &[62, 70]),
    ("Đồng Tháp", &[63, 66]),
    ("Cà Mau", &[69, 94]),
    ("An Giang", &[67, 68]),
    ("Hải Phòng", &[15, 16, 34]),
    ("Ninh Bình", &[18, 35, 90]),
    ("Cần Thơ", &[65, 83, 95]),
    ("Phú Thọ", &[19, 28, 88]),
    ("Lâm Đồng", &[48, 49, 86]),
    ("Đồng Nai", &[39, 60, 93]),
    ("Vĩnh Long", &[64, 71, 84]),
    ("Hà Nội", &[29, 30, 31, 32, 33, 40]),
    (
        "TP. Hồ Chí Minh",
        &[41, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 61, 72],
    ),
];

/// Whether a code is issued. What is not begins no plate: 13, 42, 44, 45, 46,
/// 87, 91 and 96 are free, and nothing is below 11.
pub fn is_issued(code: u8) -> bool {
    code == CENTRAL || province(code).is_some()
}

/// Whose a code is, by the name in force; `None` for [`CENTRAL`] and free codes.
pub fn province(code: u8) -> Option<&'static str> {
    BY_PROVINCE
        .iter()
        .find(|(_, codes)| codes.contains(&code))
        .map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_codes_from_11_on_are_issued_except_eight() {
        let free: Vec<u8> = (11..=99).filter(|code| !is_issued(*code)).collect();
        assert_eq!(free, [13, 42, 44, 45, 46, 87, 91, 96]);
        assert!((0..11).chain(100..=255).all(|code| !is_issued(code)));
    }

    #[test]
    fn a_code_has_one_owner() {
        let mut all: Vec<u8> = BY_PROVINCE.iter().flat_map(|(_, c)| c.to_vec()).collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
        for code in [29, 30, 31, 32, 33, 40] {
            assert_eq!(province(code), Some("Hà Nội"));
        }
        assert_eq!(province(CENTRAL), None);
    }
}
