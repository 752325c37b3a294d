//! User files as spreadsheets write them: encodings, delimiters, line breaks, empty cells and damaged numbers.

use signpost::db::Sql;
use signpost::directory::import_users::{Delimiter, ImportError, TextEncoding};
use signpost::sql;
use signpost_core::Username;

use crate::harness::{World, each_database, slug};

const BILLER: &str = "oakdale-city";
const NAMES: Sql = sql!("SELECT username, first_name FROM users WHERE email LIKE '%@sheet.example' ORDER BY username");

/// Username and first name of each imported user.
async fn imported(world: &World) -> Vec<(String, String)> {
    let rows = world.state.db.all(NAMES, Vec::new()).await.unwrap();
    rows.iter().map(|row| (row.text("username").unwrap(), row.text("first_name").unwrap())).collect()
}

fn utf16(text: &str, order: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(order).collect()
}

async fn messages(world: &World, bytes: &[u8]) -> Vec<String> {
    match world.import_bytes(BILLER, bytes, false).await {
        Err(ImportError::Invalid { messages, .. }) => messages,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn encodings_and_delimiters_are_detected() {
    each_database(|world| async move {
        let text = |uid: &str| format!("username;email;first_name\r\n{uid};{uid}@sheet.example;José\r\n");
        let windows = |uid: &str| text(uid).replace('é', "\u{1}").into_bytes();
        let windows = |uid: &str| windows(uid).into_iter().map(|b| if b == 1 { 0xe9 } else { b }).collect::<Vec<u8>>();
        for (bytes, encoding, delimiter) in [
            (text("a").into_bytes(), TextEncoding::Utf8, Delimiter::Semicolon),
            (format!("\u{feff}sep=;\r\n{}", text("b")).into_bytes(), TextEncoding::Utf8, Delimiter::Semicolon),
            (text("c").replace(';', "\t").into_bytes(), TextEncoding::Utf8, Delimiter::Tab),
            (text("d").replace(';', ",").into_bytes(), TextEncoding::Utf8, Delimiter::Comma),
            (windows("e"), TextEncoding::Windows1252, Delimiter::Semicolon),
            (utf16(&format!("\u{feff}{}", text("f")), u16::to_le_bytes), TextEncoding::Utf16Le, Delimiter::Semicolon),
            (utf16(&text("g").replace(';', "\t"), u16::to_be_bytes), TextEncoding::Utf16Be, Delimiter::Tab),
            (text("h").replace("\r\n", "\r").into_bytes(), TextEncoding::Utf8, Delimiter::Semicolon),
        ] {
            let dry = world.import_bytes(BILLER, &bytes, true).await.unwrap();
            assert_eq!((dry.format.encoding, dry.format.delimiter, dry.rows, dry.created), (encoding, delimiter, 1, 0));
            let done = world.import_bytes(BILLER, &bytes, false).await.unwrap();
            assert_eq!((done.created, done.format), (1, dry.format));
        }
        let expected: Vec<(String, String)> =
            ["a", "b", "c", "d", "e", "f", "g", "h"].map(|uid| (uid.to_owned(), "José".to_owned())).into();
        assert_eq!(imported(&world).await, expected);
    })
    .await;
}

#[tokio::test]
async fn files_that_are_not_text_are_refused_with_the_way_to_export() {
    let world = World::start().await;
    for (bytes, says) in [
        (&b"PK\x03\x04\x14\0\x06\0"[..], "Excel workbook (.xlsx)"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "Excel workbook (.xls)"),
        (b"username,email\nJos\x8e,\n", "line 2 fits neither"),
        (b"username,email\nJos\xc3\xa9,\nJos\xe9,\n", "neither UTF-8"),
        (b"sep=|\nusername|email\n", "only comma, semicolon and tab"),
    ] {
        let error = world.import_bytes(BILLER, bytes, true).await.unwrap_err().to_string();
        assert!(error.contains(says) && error.contains("CSV UTF-8 (Comma delimited)"), "{error}");
    }
}

#[tokio::test]
async fn empty_columns_and_rows_are_skipped_and_lines_are_counted() {
    let world = World::start().await;
    let text = "sep=,\r\nusername,email,first_name,,\r\n\
        one,one@sheet.example,\"two\r\nlines\",,\r\n,,,,\r\n\r\nbad,not-an-address,,,\r\n, ,,,\r\nworse,no,,,\r\n";
    let found = messages(&world, text.replace("two\r\nlines", "one").as_bytes()).await;
    assert_eq!(found, ["line 6: email: not a mail address", "line 8: email: not a mail address"]);
    let found = messages(&world, text.as_bytes()).await;
    assert!(found[0].starts_with("line 3: first_name") && found[1].starts_with("line 7: email"), "{found:?}");
    assert!(found[2].starts_with("line 9: email"), "{found:?}");
    let unix = messages(&world, text.replace("\r\n", "\n").as_bytes()).await;
    assert_eq!(unix, found);
    let good = "username,email,first_name,,\r\none,one@sheet.example,A,,\r\n,,,,\r\n\r\n,,\r\n";
    let done = world.import_bytes(BILLER, good.as_bytes(), false).await.unwrap();
    assert_eq!((done.rows, done.skipped_rows, done.format.empty_columns), (1, 2, 2));
    let found = messages(&world, b"username,email,,\nx,,,value\n").await;
    assert_eq!(found, ["line 2: 4 values for 2 columns"]);
}

#[tokio::test]
async fn passwords_at_the_end_of_a_line_are_exact() {
    let world = World::start().await;
    let hash = "$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW";
    let text = format!("username,email,password_hash\r\nx,,{hash}\r\n");
    assert_eq!(world.import_csv(BILLER, &text).await.unwrap().created, 1);
    let biller = world.state.directory.biller_by_slug(&slug(BILLER)).await.unwrap().unwrap();
    let user =
        world.state.directory.user_by_username(&biller.id, &Username::parse("x").unwrap()).await.unwrap().unwrap();
    let row =
        world.state.db.one(sql!("SELECT sealed FROM user_password WHERE user_id = $1"), vec![user.id.as_str().into()]);
    let sealed = row.await.unwrap().unwrap().text("sealed").unwrap();
    let opened = world.state.keys.open::<String>(signpost_core::Purpose::Storage, user.id.as_str(), &sealed).unwrap();
    assert_eq!(opened, hash);
}

#[tokio::test]
async fn damage_by_a_spreadsheet_is_an_error_of_the_row() {
    each_database(|world| async move {
        world.import_csv(BILLER, "username,email\n000123,\n0456,\n456,\n").await.unwrap();
        let text = "username,email,first_name\n1.23457E+11,,\n\"1,2345E+11\",,\n123,,\n456,,\n000123,,\n789,,\n\
            ann,,#REF!\nJos\u{fffd},,\n";
        let found = messages(&world, text.as_bytes()).await;
        let expected = [
            ("line 2: username: 1.23457E+11", "rounded"),
            ("line 3: username: 1,2345E+11", "rounded"),
            ("line 8: first_name: #REF!", "spreadsheet"),
            ("line 9: the character U+FFFD", "export the file again"),
            ("line 4: username: the directory has the same number with 3 leading zero(s)", "as text"),
        ];
        assert_eq!(found.len(), expected.len(), "{found:#?}");
        for (message, (start, says)) in found.iter().zip(expected) {
            assert!(message.starts_with(start) && message.contains(says), "{message}");
        }
        let done = world.import_csv("riverside-water", "username,email\n123,\n").await.unwrap();
        assert_eq!(done.created, 1, "another biller's usernames do not matter");
    })
    .await;
}

#[tokio::test]
async fn an_exported_formula_cell_is_imported_unchanged() {
    let world = World::start().await;
    let header = "username,email,first_name\r\n";
    let row = signpost::audit::csv_export::row(["=cmd", "x@sheet.example", "'+1"]);
    assert_eq!(row, "'=cmd,x@sheet.example,''+1\r\n");
    world.import_csv(BILLER, &format!("{header}{row}")).await.unwrap();
    assert_eq!(imported(&world).await, [("=cmd".to_owned(), "'+1".to_owned())]);
}

#[tokio::test]
async fn an_interrupted_import_of_a_transcoded_file_resumes() {
    let world = World::start().await;
    let rows: String = (0..2_000).map(|n| format!("usér{n};u{n}@mail.example\r\n;\r\n")).collect();
    let bytes = utf16(&format!("\u{feff}username;email\r\n{rows}"), u16::to_le_bytes);
    let done = world.import_bytes(BILLER, &bytes, false).await.unwrap();
    assert_eq!((done.rows, done.skipped_rows, done.created), (2_000, 2_000, 2_000));
    let back =
        sql!("UPDATE import_run SET ended_at = NULL, rows_done = 500 WHERE ended_at IS NOT NULL AND rows_done = 2000");
    assert_eq!(world.state.db.run(back, Vec::new()).await.unwrap(), 1);
    let done = world.import_bytes(BILLER, &bytes, false).await.unwrap();
    assert_eq!((done.resumed_after, done.updated), (500, 1_500));
}
