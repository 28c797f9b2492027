//! Which texts are plates.
//!
//! A form is a row of slots, written as a pattern: `p` a digit of the province
//! code, `s` a series letter, `w` any Latin letter, `#` a digit, `+` a digit but
//! 0; capitals are themselves; `|` is where the second row of a two-row plate
//! begins; everything else is how it is shown. So `pps|-###.##` is a car, shown
//! as `30A-123.45`, whose normal form is `30A12345`.
//!
//! The series, colours and kinds are those of Circular 24/2023/TT-BCA of the
//! Ministry of Public Security, article 37 (in force from 15 August 2023), and of
//! its predecessor, Circular 58/2020/TT-BCA, article 25, whose plates stay valid.
//! The successor, Circular 79/2024/TT-BCA, has not been compared word by word.
//!
//! One text may be of several forms: `29B11234` is a car's or an older
//! motorcycle's, `29LD12345` a motorcycle's or a joint venture's. Vehicle, rows
//! and colour tell them apart; the text, which names the owner, is the same.

use protocol::ObjectClass;

use crate::provinces;

/// Letters of series: no I, J, O, Q, R and W (Circular 24/2023, article 37, clause 5).
pub const SERIES: &str = "ABCDEFGHKLMNPSTUVXYZ";

/// Letters of series on blue plates (same, points a and b).
pub const BLUE_SERIES: &str = "ABCDEFGHKLM";

/// What may stand at one place of a plate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// A digit of the province code; both together must be issued.
    Province,
    /// A letter of [`SERIES`].
    Series,
    /// Any Latin letter.
    Letter,
    /// A digit.
    Digit,
    /// 1 to 9.
    OneToNine,
    /// This letter.
    Fixed(char),
}

impl Slot {
    /// Whether a symbol may stand here.
    pub fn fits(self, symbol: char) -> bool {
        match self {
            Self::Province | Self::Digit => symbol.is_ascii_digit(),
            Self::Series => SERIES.contains(symbol),
            Self::Letter => symbol.is_ascii_uppercase(),
            Self::OneToNine => ('1'..='9').contains(&symbol),
            Self::Fixed(letter) => symbol == letter,
        }
    }
}

/// What a plate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PlateKind {
    /// A car, bus or truck.
    Car,
    /// A motorcycle: two series letters since 2023, letter and digit before and
    /// on blue plates, two letters under 50 cm³ before.
    Motorcycle,
    /// An electric motorcycle or moped, `MĐ`.
    ElectricMotorcycle,
    /// A series of its own: joint ventures, projects, the army's firms, tractors.
    SpecialSeries,
    /// A trailer or semi-trailer, `R` or `RM`.
    Trailer,
    /// Embassies, international organisations and their staff, other foreigners.
    Foreign,
    /// The army's, on red.
    Military,
    /// Temporary, on paper.
    Temporary,
}

/// The ground of a plate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PlateColour {
    /// Persons and firms; foreigners.
    White,
    /// Commercial transport; economic zones at the border.
    Yellow,
    /// State bodies.
    Blue,
    /// The army.
    Red,
}

/// What a form may be mounted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carriers {
    /// Motorcycles; a detector may call one a bicycle.
    TwoWheelers,
    /// Cars, buses and trucks, which detectors confuse with each other.
    FourWheelers,
    /// Both.
    Both,
}

impl Carriers {
    /// Whether one vehicle may carry both.
    const fn share(self, other: Self) -> bool {
        !matches!(
            (self, other),
            (Self::TwoWheelers, Self::FourWheelers) | (Self::FourWheelers, Self::TwoWheelers)
        )
    }

    /// Whether a vehicle of this class may carry the form. [`ObjectClass::Other`] is any vehicle.
    pub const fn include(self, class: ObjectClass) -> bool {
        use ObjectClass as C;
        match class {
            C::Motorcycle | C::Bicycle => matches!(self, Self::TwoWheelers | Self::Both),
            C::Car | C::Bus | C::Truck => matches!(self, Self::FourWheelers | Self::Both),
            C::Other => true,
            _ => false,
        }
    }
}

/// One form of plates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    /// What such plates are for.
    pub kind: PlateKind,
    /// Slots, row break and separators as written in the [module](self)'s words.
    pub pattern: String,
    /// The slots alone.
    pub slots: Vec<Slot>,
    /// How many symbols the upper of two rows has; `None`: any number.
    pub upper_row: Option<usize>,
    /// What it may be mounted on.
    pub carriers: Carriers,
    /// Its grounds.
    pub colours: &'static [PlateColour],
    /// Where this is from.
    pub source: &'static str,
    /// Whether the source was read. What is from memory is never stated without a person.
    pub is_verified: bool,
}

impl Form {
    /// Whether a text in normal form is of this form.
    pub fn fits(&self, text: &str) -> bool {
        text.chars().count() == self.slots.len() && !text.contains('?') && self.may_be(text)
    }

    /// Whether a text in which `?` stands for what is not known may be of this form.
    pub fn may_be(&self, text: &str) -> bool {
        let symbols: Vec<char> = text.chars().collect();
        let code: String = symbols.iter().take(2).collect();
        let is_coded = self.slots.first() == Some(&Slot::Province);
        symbols.len() == self.slots.len()
            && (self.slots.iter().zip(&symbols)).all(|(slot, s)| *s == '?' || slot.fits(*s))
            && (!is_coded || code.contains('?') || code.parse().is_ok_and(provinces::is_issued))
            && !self.is_number_zero(&symbols)
    }

    /// Numbers begin with 00001 (Circular 24/2023, Appendix 02).
    fn is_number_zero(&self, symbols: &[char]) -> bool {
        let number = self
            .slots
            .iter()
            .rev()
            .take_while(|s| **s == Slot::Digit)
            .count();
        number > 0 && symbols.iter().rev().take(number).all(|s| *s == '0')
    }

    /// A text of this form as it is shown: `29-B1 123.45`. Of another length, the text itself.
    pub fn display(&self, text: &str) -> String {
        if text.chars().count() != self.slots.len() {
            return text.to_owned();
        }
        let mut symbols = text.chars();
        let shown = self.pattern.chars().filter(|mark| *mark != '|');
        shown
            .filter_map(|mark| slot(mark).map_or(Some(mark), |_| symbols.next()))
            .collect()
    }

    /// Whether a blue plate may have this text; other colours have all series.
    pub(crate) fn is_blue(&self, text: &str) -> bool {
        (self.slots.iter().zip(text.chars()))
            .all(|(slot, s)| *slot != Slot::Series || s == '?' || BLUE_SERIES.contains(s))
    }
}

fn slot(mark: char) -> Option<Slot> {
    Some(match mark {
        'p' => Slot::Province,
        's' => Slot::Series,
        'w' => Slot::Letter,
        '#' => Slot::Digit,
        '+' => Slot::OneToNine,
        'A'..='Z' | 'Đ' => Slot::Fixed(mark),
        _ => return None,
    })
}

/// All forms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grammar {
    forms: Vec<Form>,
}

/// Series that are not of single letters, and what they are on.
///
/// CD, KT, RM, MK, TĐ and HC after Circular 24/2023, article 37, clause 5;
/// DA, LD and R after Circular 58/2020, article 25.
const SPECIAL: [(&str, PlateKind, Carriers); 9] = [
    ("CD", PlateKind::SpecialSeries, Carriers::FourWheelers),
    ("KT", PlateKind::SpecialSeries, Carriers::Both),
    ("LD", PlateKind::SpecialSeries, Carriers::FourWheelers),
    ("DA", PlateKind::SpecialSeries, Carriers::Both),
    ("MK", PlateKind::SpecialSeries, Carriers::FourWheelers),
    ("TĐ", PlateKind::SpecialSeries, Carriers::FourWheelers),
    ("HC", PlateKind::SpecialSeries, Carriers::FourWheelers),
    ("RM", PlateKind::Trailer, Carriers::FourWheelers),
    ("R", PlateKind::Trailer, Carriers::FourWheelers),
];

const NOW: &str = "Circular 24/2023/TT-BCA, article 37, clause 5";
const BEFORE: &str = "Circular 58/2020/TT-BCA, article 25, and earlier; plates stay valid";
const SPECIAL_SERIES: &str =
    "Circular 24/2023/TT-BCA, article 37, clause 5; Circular 58/2020/TT-BCA, article 25";
const FOREIGN: &str =
    "Circular 24/2023/TT-BCA, Appendix 03; Circular 58/2020/TT-BCA, article 25, clause 7";
const ARMY: &str = "two letters and four digits on red; the army's own rules, not read";
const MOPED: &str =
    "seen on mopeds from before five digits (67-FB 2113); that all have an F is from memory";
const TEMPORARY: &str = "the sign T is Circular 24/2023/TT-BCA's; the arrangement is from memory";

impl Grammar {
    /// The plates of Vietnam.
    pub fn vietnam() -> Self {
        use Carriers::{Both, FourWheelers, TwoWheelers};
        use PlateColour::{Blue, Red, White, Yellow};
        use PlateKind as K;
        let civil: &[PlateColour] = &[White, Yellow, Blue];
        let bikes: &[PlateColour] = &[White, Blue];
        let white: &[PlateColour] = &[White];

        let mut forms = vec![
            form(K::Car, "pps|-###.##", FourWheelers, civil, NOW),
            form(K::Car, "pps|-####", FourWheelers, civil, BEFORE),
            form(K::Motorcycle, "pp-ss| ###.##", TwoWheelers, white, NOW),
            form(K::Motorcycle, "pp-s+| ###.##", TwoWheelers, bikes, BEFORE),
            form(K::Motorcycle, "pp-s+| ####", TwoWheelers, bikes, BEFORE),
            form(
                K::ElectricMotorcycle,
                "pp-MĐ#| ###.##",
                TwoWheelers,
                bikes,
                NOW,
            ),
            form(
                K::ElectricMotorcycle,
                "pp-MĐ| ###.##",
                TwoWheelers,
                bikes,
                NOW,
            ),
            unread(form(K::Military, "ww|-##-##", Both, &[Red], ARMY)),
        ];
        for (series, kind, carriers) in SPECIAL {
            for number in ["###.##", "####"] {
                let pattern = format!("pp{series}|-{number}");
                forms.push(form(kind, &pattern, carriers, civil, SPECIAL_SERIES));
            }
        }
        for series in ["NG", "QT", "NN", "CV"] {
            for number in ["##", "###", "####", "#####"] {
                // Where two-row plates are broken differs: no `|`.
                for pattern in [
                    format!("pp-###-{series}-{number}"),
                    format!("pp-{series}-{number}"),
                ] {
                    forms.push(form(K::Foreign, &pattern, Both, white, FOREIGN));
                }
            }
        }
        // Without this form the B of 67-FB 2113 is taken for an 8, and the plate for a larger machine's.
        let moped = form(K::Motorcycle, "pp-Fs| ####", TwoWheelers, white, MOPED);
        let temporary = |pattern| form(K::Temporary, pattern, Both, white, TEMPORARY);
        let of_memory = [moped, temporary("T-pp-###.##"), temporary("T-pp-####")];
        forms.extend(of_memory.map(unread));
        Self { forms }
    }

    /// The forms, the most common first.
    pub fn forms(&self) -> &[Form] {
        &self.forms
    }

    /// Forms of a text in normal form, the most common first; none: it is no plate.
    pub fn forms_of<'g>(&'g self, text: &str) -> impl Iterator<Item = &'g Form> {
        let text = text.to_owned();
        self.forms.iter().filter(move |form| form.fits(&text))
    }

    /// Whether a plate of this form may be what is left of a longer one when a
    /// character is missed: `30A-1234` of `30A-123.45`. No vote finds out when
    /// every look misses the same one, under a bolt or dirt.
    pub fn may_be_cut(&self, form: &Form) -> bool {
        let is_left_of = |longer: &Form| {
            (0..longer.slots.len()).any(|missed| {
                let left = longer
                    .slots
                    .iter()
                    .enumerate()
                    .filter(|(at, _)| *at != missed);
                left.map(|(_, slot)| slot).eq(&form.slots)
            })
        };
        (self.forms.iter()).any(|longer| longer.carriers.share(form.carriers) && is_left_of(longer))
    }

    /// Symbols of the longest form.
    pub fn longest(&self) -> usize {
        self.forms
            .iter()
            .map(|form| form.slots.len())
            .max()
            .unwrap_or(0)
    }
}

fn form(
    kind: PlateKind,
    pattern: &str,
    carriers: Carriers,
    colours: &'static [PlateColour],
    source: &'static str,
) -> Form {
    let upper = pattern.split_once('|').map(|(upper, _)| upper);
    Form {
        kind,
        pattern: pattern.to_owned(),
        slots: pattern.chars().filter_map(slot).collect(),
        upper_row: upper.map(|upper| upper.chars().filter_map(slot).count()),
        carriers,
        colours,
        source,
        is_verified: true,
    }
}

/// One whose source nobody has read.
fn unread(form: Form) -> Form {
    Form {
        is_verified: false,
        ..form
    }
}

/// A text as plates are compared and stored: capitals and digits, one line.
///
/// Spaces, line ends and the marks that are printed on plates are dropped. The
/// symbols of plates have no decomposed forms, so that nothing remains for NFC to
/// do; full-width letters, and Ð (eth), which looks like Đ, are replaced.
pub fn normal_form(text: &str) -> String {
    text.chars()
        .filter(|c| !is_separator(*c))
        .map(folded)
        .collect()
}

/// What stands between symbols of a plate without being one.
pub(crate) fn is_separator(c: char) -> bool {
    c.is_whitespace()
        || matches!(
            folded(c),
            '-' | '.' | ',' | ':' | '\'' | '_' | '·' | '•' | '–' | '—'
        )
}

/// One symbol in normal form.
pub(crate) fn folded(c: char) -> char {
    plain(c).to_ascii_uppercase()
}

/// The same, but small letters stay small.
pub(crate) fn plain(c: char) -> char {
    match c {
        // Full-width forms are ASCII, moved by 0xFEE0.
        '！'..='～' => char::from_u32(c as u32 - 0xFEE0).unwrap_or(c),
        'đ' | 'Ð' | 'ð' => 'Đ',
        _ => c,
    }
}

#[cfg(test)]
mod tests;
