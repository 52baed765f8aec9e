//! A configuration file as it was written: an ordered tree that keeps unknown elements, comments, spacing and encoding.
//!
//! Reading and writing back gives the same bytes while nothing was changed. No DOCTYPE, bounded size and depth.

use encoding_rs::{EUC_JP, Encoding, GBK, SHIFT_JIS, UTF_8, WINDOWS_1252};
use quick_xml::Reader;
use quick_xml::events::Event;

/// Greatest size of a file: many times the largest known one.
pub const SIZE_MAX: usize = 4 * 1024 * 1024;
/// Greatest depth of elements; real files have about eight.
pub const DEPTH_MAX: usize = 64;

/// Why bytes are not a configuration file.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ReadError {
    /// Too many bytes.
    #[error("the file has {size} bytes, at most {SIZE_MAX} are read; it is no clp.conf")]
    TooLarge {
        /// Its size.
        size: usize,
    },
    /// Elements nested too deeply.
    #[error("elements are nested deeper than {DEPTH_MAX} at byte {at}; it is no clp.conf")]
    TooDeep {
        /// Where.
        at: u64,
    },
    /// The declared encoding is unknown.
    #[error("encoding {name} is not known; save the file as UTF-8, ASCII, EUC-JP, SJIS or GB2312")]
    UnknownEncoding {
        /// As declared.
        name: String,
    },
    /// The bytes do not fit the declared encoding.
    #[error("the bytes are not valid {name} as the first line declares; save the file again in that encoding")]
    WrongEncoding {
        /// As declared.
        name: String,
    },
    /// A document type.
    #[error("a DOCTYPE is not allowed in clp.conf; remove it")]
    Doctype,
    /// Not well-formed.
    #[error("not well-formed XML near byte {at}: {cause}; restore the file from a backup")]
    Malformed {
        /// Where.
        at: u64,
        /// What the parser says.
        cause: String,
    },
    /// The root element is not `root`.
    #[error("the outermost element is {found:?}, a clp.conf has \"root\"")]
    NotRoot {
        /// Its name.
        found: String,
    },
    /// A configuration for Windows.
    #[error("this is a configuration for Windows (all/serveros is windows); it cannot run on Linux")]
    Windows,
}

/// Why a value cannot be written; the document stays as it was.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SetError {
    /// A character is missing in the file's encoding.
    #[error(
        "{path}: {character:?} cannot be written in {encoding}, the encoding of the file; use other characters or save the file as UTF-8"
    )]
    NotInEncoding {
        /// Which parameter.
        path: String,
        /// The first such character.
        character: char,
        /// As declared.
        encoding: String,
    },
    /// XML has no way to write a character.
    #[error("{path}: the control character {character:?} cannot be written in XML; remove it")]
    NotInXml {
        /// Which parameter.
        path: String,
        /// The first such character.
        character: char,
    },
    /// The place holds elements, which would be lost.
    #[error("{path} is no parameter: there are elements below it; name one of them")]
    NotAParameter {
        /// Which place.
        path: String,
    },
    /// Something else in the file would change with it.
    #[error("{path}: the file holds bytes that {encoding} cannot write back as they are; save it as UTF-8 before changing it")]
    NotFaithful {
        /// Which parameter.
        path: String,
        /// As declared.
        encoding: String,
    },
}

/// Something inside an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// Text, comment, declaration: kept as written.
    Raw(String),
    /// An element.
    Element(Element),
}

/// An element with everything in it, as written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Element {
    /// Its tag.
    pub tag: String,
    /// The value of its `name` or `id` attribute.
    pub key: Option<String>,
    /// In order.
    pub children: Vec<Node>,
    start: String,
    end: String,
}

impl Element {
    /// Elements directly inside.
    pub fn elements(&self) -> impl Iterator<Item = &Element> {
        self.children.iter().filter_map(|node| match node {
            Node::Element(element) => Some(element),
            Node::Raw(_) => None,
        })
    }

    /// Elements directly inside with this tag.
    pub fn all<'a>(&'a self, tag: &'a str) -> impl Iterator<Item = &'a Element> {
        self.elements().filter(move |element| element.tag == tag)
    }

    /// The element at a path such as `polling/interval` or `device@0/info`; the first where several fit.
    pub fn at(&self, path: &str) -> Option<&Element> {
        let (step, rest) = match path.split_once('/') {
            Some((step, rest)) => (step, Some(rest)),
            None => (path, None),
        };
        let (tag, key) = match step.split_once('@') {
            Some((tag, key)) => (tag, Some(key)),
            None => (step, None),
        };
        self.elements()
            .filter(|element| element.tag == tag && key.is_none_or(|key| element.key.as_deref() == Some(key)))
            .find_map(|element| rest.map_or(Some(element), |rest| element.at(rest)))
    }

    /// The text inside, trimmed, with entities resolved.
    pub fn text(&self) -> String {
        let raw: String = self
            .children
            .iter()
            .filter_map(|node| match node {
                Node::Raw(text) if text.starts_with("<!--") || text.starts_with("<?") => None,
                Node::Raw(text) => Some(match text.strip_prefix("<![CDATA[").and_then(|t| t.strip_suffix("]]>")) {
                    Some(data) => data.to_string(),
                    None => unescape(text),
                }),
                Node::Element(_) => None,
            })
            .collect();
        raw.trim().to_string()
    }

    /// The text at a path.
    pub fn text_at(&self, path: &str) -> Option<String> {
        self.at(path).map(Element::text)
    }

    /// A copy in which everything inside the child `tag` of `over` lies in front of what this one has there.
    pub(crate) fn overlaid(&self, tag: &str, over: &Element) -> Element {
        let mut copy = self.clone();
        let own = copy.children.iter_mut().find_map(|node| match node {
            Node::Element(element) if element.tag == tag => Some(element),
            _ => None,
        });
        match own {
            Some(own) => {
                for node in &over.children {
                    let Node::Element(child) = node else { continue };
                    if child.elements().next().is_some() {
                        *own = own.overlaid(&child.tag, child);
                    } else {
                        own.children.insert(0, node.clone());
                    }
                }
            }
            None => copy.children.push(Node::Element(over.clone())),
        }
        copy
    }

    fn write(&self, out: &mut String) {
        out.push_str(&self.start);
        for node in &self.children {
            match node {
                Node::Raw(text) => out.push_str(text),
                Node::Element(element) => element.write(out),
            }
        }
        out.push_str(&self.end);
    }

    fn set(&mut self, path: &[(&str, Option<&str>)], value: &str) {
        let Some(((tag, key), rest)) = path.split_first() else {
            if self.end.is_empty() {
                let open = self.start.trim_end_matches("/>").trim_end().to_string();
                self.start = format!("{open}>");
                self.end = format!("</{}>", self.tag);
            }
            self.children = vec![Node::Raw(escape(value))];
            return;
        };
        let fits = |node: &Node| match node {
            Node::Element(e) => e.tag == **tag && key.is_none_or(|key| e.key.as_deref() == Some(key)),
            Node::Raw(_) => false,
        };
        let place = self.children.iter().position(fits).unwrap_or_else(|| self.insert_new(tag, *key));
        if let Node::Element(element) = &mut self.children[place] {
            element.set(rest, value);
        }
    }

    /// A new child on a line of its own, before the end tag.
    fn insert_new(&mut self, tag: &str, key: Option<&str>) -> usize {
        if self.end.is_empty() {
            let open = self.start.trim_end_matches("/>").trim_end().to_string();
            self.start = format!("{open}>");
            self.end = format!("</{}>", self.tag);
        }
        let attribute = match key {
            Some(key) => {
                let by = if ["device", "list", "hba", "grp", "servers", "netdev"].contains(&tag) { "id" } else { "name" };
                format!(" {by}=\"{}\"", escape(key))
            }
            None => String::new(),
        };
        let element = Element {
            tag: tag.to_string(),
            key: key.map(String::from),
            children: Vec::new(),
            start: format!("<{tag}{attribute}>"),
            end: format!("</{tag}>"),
        };
        let tail = match self.children.last() {
            Some(Node::Raw(text)) if text.trim().is_empty() => text.clone(),
            _ => "\n".to_string(),
        };
        if !matches!(self.children.last(), Some(Node::Raw(text)) if text.trim().is_empty()) {
            self.children.push(Node::Raw(tail.clone()));
        }
        self.children.push(Node::Element(element));
        self.children.push(Node::Raw(tail));
        self.children.len() - 2
    }
}

fn unescape(text: &str) -> String {
    quick_xml::escape::unescape(text).map_or_else(|_| text.to_string(), |text| text.into_owned())
}

fn escape(text: &str) -> String {
    quick_xml::escape::escape(text).into_owned()
}

/// A whole file.
#[derive(Debug, Clone)]
pub struct Document {
    before: Vec<Node>,
    root: Element,
    after: Vec<Node>,
    encoding: &'static Encoding,
    declared: String,
    has_mark: bool,
    is_faithful: bool,
    original: Option<Vec<u8>>,
}

impl Document {
    /// Read a file.
    ///
    /// # Errors
    /// [`ReadError`]; nothing of a broken file is used.
    pub fn read(bytes: &[u8]) -> Result<Document, ReadError> {
        if bytes.len() > SIZE_MAX {
            return Err(ReadError::TooLarge { size: bytes.len() });
        }
        let (encoding, name) = declared_encoding(bytes)?;
        let body = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let (text, had_errors) = encoding.decode_without_bom_handling(body);
        if had_errors {
            return Err(ReadError::WrongEncoding { name });
        }
        let is_faithful = *encoding.encode(&text).0 == *body;
        let (before, root, after) = parse(&text)?;
        if root.tag != "root" {
            return Err(ReadError::NotRoot { found: root.tag });
        }
        if root.text_at("all/serveros").is_some_and(|os| os.eq_ignore_ascii_case("windows")) {
            return Err(ReadError::Windows);
        }
        let has_mark = body.len() < bytes.len();
        Ok(Document { before, root, after, encoding, declared: name, has_mark, is_faithful, original: Some(bytes.to_vec()) })
    }

    /// The outermost element.
    pub fn root(&self) -> &Element {
        &self.root
    }

    /// The text at a path below the root, such as `cluster/heartbeat/timeout`.
    pub fn get(&self, path: &str) -> Option<String> {
        self.root.text_at(path.trim_start_matches("/root/"))
    }

    /// Write a value; missing elements are made, everything else stays as it is.
    ///
    /// # Errors
    /// [`SetError`]; nothing was changed.
    pub fn set(&mut self, path: &str, value: &str) -> Result<(), SetError> {
        let owned = || path.to_string();
        let is_in_xml = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..);
        if let Some(character) = path.chars().chain(value.chars()).find(|c| !is_in_xml(*c)) {
            return Err(SetError::NotInXml { path: owned(), character });
        }
        // The product's other tools read a file that calls itself ASCII as just that.
        let is_ascii = self.encoding == WINDOWS_1252;
        let is_in_encoding = |c: char| {
            if is_ascii {
                c.is_ascii()
            } else {
                self.encoding.decode_without_bom_handling(&self.encoding.encode(c.encode_utf8(&mut [0; 4])).0).0.chars().eq([c])
            }
        };
        if let Some(character) = path.chars().chain(value.chars()).find(|c| !is_in_encoding(*c)) {
            return Err(SetError::NotInEncoding { path: owned(), character, encoding: self.declared.clone() });
        }
        if !self.is_faithful {
            return Err(SetError::NotFaithful { path: owned(), encoding: self.declared.clone() });
        }
        let below = path.trim_start_matches("/root/");
        if below.is_empty() || self.root.at(below).is_some_and(|element| element.elements().next().is_some()) {
            return Err(SetError::NotAParameter { path: owned() });
        }
        let steps: Vec<(&str, Option<&str>)> =
            below.split('/').map(|step| step.split_once('@').map_or((step, None), |(tag, key)| (tag, Some(key)))).collect();
        self.root.set(&steps, value);
        self.original = None;
        Ok(())
    }

    /// The file in its own encoding; the same bytes as read while nothing was changed.
    pub fn write(&self) -> Vec<u8> {
        if let Some(original) = &self.original {
            return original.clone();
        }
        let mut text = String::new();
        let write = |nodes: &[Node], text: &mut String| {
            for node in nodes {
                match node {
                    Node::Raw(raw) => text.push_str(raw),
                    Node::Element(element) => element.write(text),
                }
            }
        };
        write(&self.before, &mut text);
        self.root.write(&mut text);
        write(&self.after, &mut text);
        let mut bytes = if self.has_mark { b"\xef\xbb\xbf".to_vec() } else { Vec::new() };
        bytes.extend_from_slice(&self.encoding.encode(&text).0);
        bytes
    }
}

fn declared_encoding(bytes: &[u8]) -> Result<(&'static Encoding, String), ReadError> {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).to_string();
    let declaration =
        head.trim_start_matches('\u{feff}').strip_prefix("<?xml").and_then(|rest| rest.split("?>").next()).unwrap_or("");
    let name =
        declaration.split_once("encoding").and_then(|(_, rest)| rest.split(['"', '\'']).nth(1)).unwrap_or("UTF-8").to_string();
    let encoding = match name.to_ascii_uppercase().as_str() {
        "UTF-8" | "UTF8" => UTF_8,
        // Files that call themselves ASCII hold other bytes in comments all the same.
        "ASCII" | "US-ASCII" => WINDOWS_1252,
        "EUC-JP" | "EUCJP" => EUC_JP,
        "SJIS" | "SHIFT_JIS" | "SHIFT-JIS" => SHIFT_JIS,
        "GB2312" | "GBK" => GBK,
        _ => return Err(ReadError::UnknownEncoding { name }),
    };
    Ok((encoding, name))
}

/// What stands before the root, the root, what stands after it.
type Parsed = (Vec<Node>, Element, Vec<Node>);

fn parse(text: &str) -> Result<Parsed, ReadError> {
    let mut reader = Reader::from_str(text);
    let mut stack: Vec<Element> = Vec::new();
    let mut before = Vec::new();
    let mut root: Option<Element> = None;
    let mut after = Vec::new();
    let mut position = 0usize;
    loop {
        let event = reader
            .read_event()
            .map_err(|cause| ReadError::Malformed { at: reader.error_position(), cause: cause.to_string() })?;
        let end = usize::try_from(reader.buffer_position()).unwrap_or(text.len()).min(text.len());
        let raw = text.get(position..end).unwrap_or_default().to_string();
        position = end;
        let malformed = |cause: &str| ReadError::Malformed { at: end as u64, cause: cause.to_string() };
        let done = match event {
            Event::Eof => break,
            Event::DocType(_) => return Err(ReadError::Doctype),
            Event::Start(start) => {
                if stack.len() >= DEPTH_MAX {
                    return Err(ReadError::TooDeep { at: end as u64 });
                }
                if root.is_some() {
                    return Err(malformed("a second outermost element"));
                }
                stack.push(opened(&start, raw).map_err(|cause| malformed(&cause))?);
                continue;
            }
            Event::Empty(start) => Node::Element(opened(&start, raw).map_err(|cause| malformed(&cause))?),
            Event::End(_) => {
                let mut element = stack.pop().ok_or_else(|| malformed("an end tag without its start"))?;
                element.end = raw;
                Node::Element(element)
            }
            _ => Node::Raw(raw),
        };
        match (stack.last_mut(), done) {
            (Some(parent), node) => parent.children.push(node),
            (None, Node::Element(element)) if root.is_none() => root = Some(element),
            (None, Node::Element(_)) => return Err(malformed("a second outermost element")),
            (None, node) if root.is_some() => after.push(node),
            (None, Node::Raw(raw)) if raw.starts_with('<') || raw.trim_matches('\u{feff}').trim().is_empty() => {
                before.push(Node::Raw(raw))
            }
            (None, Node::Raw(_)) => return Err(malformed("text before the outermost element")),
        }
    }
    if !stack.is_empty() {
        return Err(ReadError::Malformed {
            at: text.len() as u64,
            cause: format!("element {} is not closed", stack[stack.len() - 1].tag),
        });
    }
    let root = root.ok_or_else(|| ReadError::Malformed { at: text.len() as u64, cause: "no element".into() })?;
    Ok((before, root, after))
}

fn opened(start: &quick_xml::events::BytesStart<'_>, raw: String) -> Result<Element, String> {
    let mut key = None;
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|cause| cause.to_string())?;
        let name: &str = attribute.key.as_ref();
        if name == "name" || name == "id" {
            key.get_or_insert(unescape(&attribute.value));
        }
    }
    let name = start.name();
    let tag: &str = name.as_ref();
    Ok(Element { tag: tag.to_string(), key, children: Vec::new(), start: raw, end: String::new() })
}
