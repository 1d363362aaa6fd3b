use proptest::prelude::*;
use time::macros::datetime;
use uuid::Uuid;

use super::*;
use crate::domain::ids::MovementId;

fn movement(customer: &str, trade_id: &str, coin: &str, amount: &str) -> Movement {
    Movement {
        id: MovementId(Uuid::from_u128(7)),
        booked_at: datetime!(2026-11-22 12:00 UTC),
        kind: "payout".to_owned(),
        provider: "fomo".to_owned(),
        coin: coin.to_owned(),
        amount: Sum::parse(amount).unwrap(),
        customer: Some(customer.to_owned()),
        trade_id: Some(trade_id.to_owned()),
        receipt: None,
    }
}

/// The cells of a table, read by rules of our own (RFC 4180).
fn read(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut cell, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => cell.extend(letters.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut cell)),
            '\r' if !quoted && letters.peek() == Some(&'\n') => {
                letters.next();
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            letter => cell.push(letter),
        }
    }
    assert!(!quoted && cell.is_empty() && row.is_empty(), "a whole table: {text:?}");
    rows
}

fn written(row: Movement) -> Vec<Vec<String>> {
    read(&String::from_utf8(Writer::new(Format::Csv).rows(&[row]).unwrap()).unwrap())
}

#[test]
fn formulas_become_text_and_our_own_numbers_stay_numbers() {
    for text in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "＝1", "=cmd|' /C calc'!A0"] {
        let rows = written(movement(text, text, text, "-12.5"));
        let want = format!("'{text}");
        assert_eq!((&rows[0][5], &rows[0][7], &rows[0][8]), (&want, &want, &want));
        assert_eq!(rows[0][6], "-12.5");
    }
    let rows = written(movement("a=b", "order-7", "usdt", "-1"));
    assert_eq!((rows[0][7].as_str(), rows[0][8].as_str()), ("a=b", "order-7"));
}

#[test]
fn every_line_of_a_table_has_the_same_cells_and_the_last_says_that_it_is_whole() {
    let sum = |text| Sum::parse(text).unwrap();
    let shown = Period { from: datetime!(2026-11-01 0:00 UTC), to: datetime!(2026-12-01 0:00 UTC) };
    let head = Head { object: "statement", from: shown.from, to: shown.to, until: shown.to, closed: true, coin: None };
    let balance = Balance {
        provider: "fomo".to_owned(),
        coin: "usdt".to_owned(),
        opening: sum("13.5"),
        rows: 1,
        sum: sum("-12.5"),
        closing: sum("1"),
        balanced: true,
    };
    let mut writer = Writer::new(Format::Csv);
    let pieces = [
        writer.head(&head).unwrap(),
        writer.rows(&[movement("ada", "p-1", "usdt", "-12.5")]).unwrap(),
        writer.footer(&[balance], shown).unwrap(),
    ];
    let rows = read(&String::from_utf8(pieces.concat()).unwrap());
    assert!(rows.iter().all(|row| row.len() == 10), "{rows:?}");
    let seen: Vec<(&str, &str)> = rows.iter().map(|row| (row[0].as_str(), row[6].as_str())).collect();
    assert_eq!(seen, [("row", "amount"), ("movement", "-12.5"), ("opening", "13.5"), ("sum", "-12.5"), ("closing", "1"), ("end", "")]);
}

proptest! {
    #[test]
    fn any_cell_comes_back_as_it_was_and_begins_with_no_sign(customer in ".*", trade_id in "[=+\\-@\t\r\n\",' a]{0,8}", coin in "\\PC*") {
        let rows = written(movement(&customer, &trade_id, &coin, "-0.1"));
        prop_assert_eq!(rows.len(), 1);
        prop_assert_eq!(rows[0].len(), 10);
        prop_assert_eq!(&rows[0][6], "-0.1");
        for (cell, text) in [(&rows[0][7], &customer), (&rows[0][8], &trade_id), (&rows[0][5], &coin)] {
            prop_assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']), "{:?}", cell);
            prop_assert!(cell == text || *cell == format!("'{text}"), "{:?} was {:?}", cell, text);
        }
    }
}
