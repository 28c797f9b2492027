use super::*;

/// As printed, normal form, as shown, kinds.
#[test]
fn plates_as_they_are_printed_have_one_normal_form() {
    use PlateKind as K;
    let grammar = Grammar::vietnam();
    let cases: [(&str, &str, &str, &[PlateKind]); 25] = [
        (
            "30A-123.45",
            "30A12345",
            "30A-123.45",
            &[K::Car, K::Motorcycle],
        ),
        ("30A-012.34", "30A01234", "30A-012.34", &[K::Car]),
        ("30a 1234", "30A1234", "30A-1234", &[K::Car]),
        (
            "29-B1\n123.45",
            "29B112345",
            "29-B1 123.45",
            &[K::Motorcycle],
        ),
        ("29B1-12345", "29B112345", "29-B1 123.45", &[K::Motorcycle]),
        (
            "29-B1 1234",
            "29B11234",
            "29B-112.34",
            &[K::Car, K::Motorcycle],
        ),
        (
            "29-AA\n012.34",
            "29AA01234",
            "29-AA 012.34",
            &[K::Motorcycle],
        ),
        ("29AA 000.00", "29AA00000", "", &[]),
        (
            "29-MĐ1 123.45",
            "29MĐ112345",
            "29-MĐ1 123.45",
            &[K::ElectricMotorcycle],
        ),
        (
            "29-mđ 123.45",
            "29MĐ12345",
            "29-MĐ 123.45",
            &[K::ElectricMotorcycle],
        ),
        (
            "29LD-123.45",
            "29LD12345",
            "29-LD 123.45",
            &[K::Motorcycle, K::SpecialSeries],
        ),
        ("29KT-1234", "29KT1234", "29KT-1234", &[K::SpecialSeries]),
        ("67-FB 2113", "67FB2113", "67-FB 2113", &[K::Motorcycle]),
        ("29R-123.45", "29R12345", "29R-123.45", &[K::Trailer]),
        ("29RM-123.45", "29RM12345", "29RM-123.45", &[K::Trailer]),
        ("80-011-NG-01", "80011NG01", "80-011-NG-01", &[K::Foreign]),
        ("41-291-NN-23", "41291NN23", "41-291-NN-23", &[K::Foreign]),
        (
            "80-NG-011-01",
            "80NG01101",
            "80-NG 011.01",
            &[K::Motorcycle, K::Foreign],
        ),
        ("80-QT-12", "80QT12", "80-QT-12", &[K::Foreign]),
        ("TM-12-34", "TM1234", "TM-12-34", &[K::Military]),
        ("T-29-123.45", "T2912345", "T-29-123.45", &[K::Temporary]),
        ("13A-123.45", "13A12345", "", &[]),
        ("30O-123.45", "30O12345", "", &[]),
        (
            "３０Ａ－１２３．４５",
            "30A12345",
            "30A-123.45",
            &[K::Car, K::Motorcycle],
        ),
        ("", "", "", &[]),
    ];
    for (printed, normal, shown, kinds) in cases {
        assert_eq!(normal_form(printed), normal);
        let found: Vec<&Form> = grammar.forms_of(normal).collect();
        let of: Vec<PlateKind> = found.iter().map(|form| form.kind).collect();
        assert_eq!(of, kinds, "{printed}");
        assert_eq!(
            found.first().map_or(String::new(), |f| f.display(normal)),
            shown
        );
    }
}

#[test]
fn the_vehicle_tells_forms_of_one_text_apart() {
    use ObjectClass as C;
    let grammar = Grammar::vietnam();
    for (text, class, shown) in [
        ("29B11234", C::Car, "29B-112.34"),
        ("29B11234", C::Motorcycle, "29-B1 1234"),
        ("29LD12345", C::Truck, "29LD-123.45"),
        ("29LD12345", C::Bicycle, "29-LD 123.45"),
    ] {
        let form = grammar.forms_of(text).find(|f| f.carriers.include(class));
        assert_eq!(form.unwrap().display(text), shown);
    }
    for class in [C::Person, C::Train, C::Animal, C::Plate] {
        assert!(grammar.forms().iter().all(|f| !f.carriers.include(class)));
    }
}

#[test]
fn every_form_shows_all_its_symbols_and_names_its_source() {
    for form in Grammar::vietnam().forms() {
        let text = "7".repeat(form.slots.len());
        assert_eq!(normal_form(&form.display(&text)), text, "{}", form.pattern);
        assert!(!form.source.is_empty() && !form.colours.is_empty());
        assert!(form.upper_row.is_none_or(|upper| upper < form.slots.len()));
    }
}

#[test]
fn an_unknown_symbol_may_be_anything_but_no_plate_is_complete_with_it() {
    let grammar = Grammar::vietnam();
    let car = &grammar.forms()[0];
    assert!(car.may_be("30?123?5") && !car.fits("30?123?5"));
    assert!(car.may_be("1?A12345") && !car.may_be("13A1234?"));
}

#[test]
fn forms_that_a_missed_character_leads_to_are_known() {
    let grammar = Grammar::vietnam();
    for (text, class, may_be_cut) in [
        ("30A1234", ObjectClass::Car, true),
        ("30A12345", ObjectClass::Car, false),
        ("29B11234", ObjectClass::Motorcycle, true),
        ("29B112345", ObjectClass::Motorcycle, false),
        ("29AA12345", ObjectClass::Motorcycle, false),
        ("29MĐ12345", ObjectClass::Motorcycle, true),
        ("80011NG01", ObjectClass::Car, true),
    ] {
        let form = grammar.forms_of(text).find(|f| f.carriers.include(class));
        assert_eq!(grammar.may_be_cut(form.unwrap()), may_be_cut, "{text}");
    }
}
