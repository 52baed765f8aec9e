//! One parameter is changed and the file written: everything else stays as it was, in every encoding.

use clp_config::{Document, SetError};
use encoding_rs::{EUC_JP, Encoding, GBK, SHIFT_JIS, UTF_8};
use proptest::prelude::*;

fn data(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/data/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|cause| panic!("{path}: {cause}"))
}

/// A file with text of its country in values, comments and unknown elements.
fn national(encoding: &'static Encoding, declared: &str, words: &str, line_end: &str) -> Vec<u8> {
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"{declared}\"?>\n<!-- {words} -->\n<root>\n\t<unknown kept='yes'  odd = \"1\">{words}</unknown>\n\t<cluster>\n\t\t<name>one</name>\n\t\t<comment>{words}</comment>\n\t</cluster>\n\t<server name=\"server1\"><comment>{words}</comment><comment/></server>\n</root>\n<!-- {words} -->\n"
    )
    .replace('\n', line_end);
    let (bytes, _, had_errors) = encoding.encode(&text);
    assert!(!had_errors, "{declared} writes the example");
    bytes.into_owned()
}

/// Bytes with the only occurrence of `old` replaced.
fn replaced(bytes: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let places: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(old)).collect();
    let [at] = places[..] else { panic!("{} places", places.len()) };
    [&bytes[..at], new, &bytes[at + old.len()..]].concat()
}

// S-BLD-OPEN
#[test]
fn every_byte_outside_the_changed_value_stays_in_every_encoding() {
    let japanese = "二台構成、共有ディスク 表示ソ～ｱ";
    let table = [
        (EUC_JP, "EUC-JP", "日本語の説明", "新しい名前"),
        (SHIFT_JIS, "SJIS", "表示 ソ能 ｱｲｳ", "新しい名前"),
        (SHIFT_JIS, "Shift_JIS", "表示 ソ能 ｱｲｳ", "ｱｲｳ"),
        (GBK, "GB2312", "中文说明", "新名称"),
        (UTF_8, "UTF-8", japanese, "😀 & <新>"),
    ];
    for (encoding, declared, words, value) in table {
        for line_end in ["\n", "\r\n"] {
            let bytes = national(encoding, declared, words, line_end);
            let mut document = Document::read(&bytes).unwrap_or_else(|cause| panic!("{declared}: {cause}"));
            assert_eq!(document.get("cluster/comment").as_deref(), Some(words), "{declared}");
            document.set("cluster/name", value).unwrap_or_else(|cause| panic!("{declared}: {cause}"));
            let escaped = value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            let expected = replaced(&bytes, b"<name>one<", format!("<name>@@{}", "<").as_bytes());
            let expected = replaced(&expected, b"@@", &encoding.encode(&escaped).0);
            assert!(document.write() == expected, "{declared}");
            let again = Document::read(&document.write()).expect("is well-formed");
            assert_eq!(again.get("cluster/name").as_deref(), Some(value), "{declared}");
        }
    }
}

#[test]
fn every_byte_of_real_files_outside_the_changed_value_stays() {
    for (name, path, old, new) in [
        ("linux-5.3.1-mirror-eucjp-crlf.clp.conf", "cluster/name", "name", "二台"),
        ("linux-3.3.1-nine-groups.clp.conf", "cluster/name", "name", "another"),
        ("linux-generated-shared-disk-lvm.clp.conf", "cluster/name", "name", "other"),
    ] {
        let bytes = data(name);
        let mut document = Document::read(&bytes).expect(name);
        let before = document.get(path).unwrap_or_else(|| panic!("{name} has {path}"));
        document.set(path, new).unwrap_or_else(|cause| panic!("{name}: {cause}"));
        let written = document.write();
        let encoding = if name.contains("eucjp") { EUC_JP } else { UTF_8 };
        let (old, new) = (format!("<{old}>{before}<"), encoding.encode(&format!("<{old}>{new}<")).0.into_owned());
        // The value may occur elsewhere too: exactly one place became the new one.
        let differing = (0..bytes.len()).find(|at| written.get(*at) != bytes.get(*at)).expect("something changed");
        let start = bytes[..=differing].iter().rposition(|byte| *byte == b'<').expect("inside an element");
        assert!(bytes[start..].starts_with(old.as_bytes()), "{name}");
        assert!(written == [&bytes[..start], &new, &bytes[start + old.len()..]].concat(), "{name}");
    }
}

#[test]
fn a_new_element_leaves_all_bytes_around_it() {
    let bytes = national(EUC_JP, "EUC-JP", "日本語の説明", "\r\n");
    let mut document = Document::read(&bytes).expect("is read");
    document.set("resource/fip@fip1/parameters/ip", "10.0.0.12").expect("ASCII");
    let written = document.write();
    let same_head = bytes.iter().zip(&written).take_while(|(a, b)| a == b).count();
    let same_tail = bytes.iter().rev().zip(written.iter().rev()).take_while(|(a, b)| a == b).count();
    assert!(same_head + same_tail >= bytes.len(), "an insertion in one place and nothing else");
    let again = Document::read(&written).expect("is well-formed");
    assert_eq!(again.get("resource/fip@fip1/parameters/ip").as_deref(), Some("10.0.0.12"));
}

#[test]
fn a_byte_order_mark_stays() {
    let bytes = [b"\xef\xbb\xbf".as_slice(), &national(UTF_8, "UTF-8", "é", "\n")].concat();
    let mut document = Document::read(&bytes).expect("is read");
    document.set("cluster/name", "two").expect("ASCII");
    assert_eq!(document.write(), replaced(&bytes, b"<name>one<", b"<name>two<"));
}

#[test]
fn what_the_encoding_cannot_write_is_an_error_that_names_the_parameter() {
    for (encoding, declared, value, missing) in [
        (EUC_JP, "EUC-JP", "a😀", '😀'),
        (SHIFT_JIS, "SJIS", "naïve", 'ï'),
        (GBK, "GB2312", "x😀", '😀'),
        (UTF_8, "ASCII", "café", 'é'),
    ] {
        let bytes = national(encoding, declared, "plain", "\n");
        let mut document = Document::read(&bytes).expect("is read");
        let error = document.set("cluster/comment", value).expect_err(declared);
        let expected = SetError::NotInEncoding { path: "cluster/comment".into(), character: missing, encoding: declared.into() };
        assert_eq!(error, expected);
        for words in ["cluster/comment", declared, "save the file as UTF-8"] {
            assert!(error.to_string().contains(words), "{error} should say {words}");
        }
        assert_eq!(document.write(), bytes, "nothing was changed");
    }
}

#[test]
fn what_cannot_be_written_changes_nothing() {
    let bytes = national(UTF_8, "UTF-8", "plain", "\n");
    let mut document = Document::read(&bytes).expect("is read");
    let control = document.set("cluster/name", "a\u{1}").expect_err("no XML");
    assert_eq!(control, SetError::NotInXml { path: "cluster/name".into(), character: '\u{1}' });
    for path in ["cluster", "server@server1", ""] {
        let error = document.set(path, "x").expect_err("elements would be lost");
        assert_eq!(error, SetError::NotAParameter { path: path.into() });
    }
    assert_eq!(document.write(), bytes);
    // JIS X 0212 can be read from EUC-JP and not written.
    let text = national(EUC_JP, "EUC-JP", "plain", "\n");
    let odd = replaced(&text, b"<unknown kept='yes'  odd = \"1\">plain", b"<unknown>\x8f\xb0\xa1");
    let mut document = Document::read(&odd).expect("is read");
    let error = document.set("cluster/name", "two").expect_err("would change other text");
    assert_eq!(error, SetError::NotFaithful { path: "cluster/name".into(), encoding: "EUC-JP".into() });
    assert_eq!(document.write(), odd);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_text_that_is_accepted_is_read_again(value in "\\PC{0,40}", declared in prop_oneof!["EUC-JP", "SJIS", "GB2312", "UTF-8", "ASCII"]) {
        let bytes = national(UTF_8, &declared, "plain", "\n");
        let mut document = Document::read(&bytes).expect("ASCII is read in each");
        match document.set("cluster/comment", &value) {
            Ok(()) => {
                let again = Document::read(&document.write()).expect("is well-formed");
                prop_assert_eq!(again.get("cluster/comment").unwrap_or_default(), value.trim());
            }
            Err(_) => prop_assert_eq!(document.write(), bytes),
        }
    }
}
