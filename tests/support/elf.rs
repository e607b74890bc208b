//! Executables of a few hundred bytes, made up of what a test asks for.

/// Where its one loadable segment lies in memory.
const BASE: u64 = 0x40_0000;

/// A section: name, contents.
type Section = (&'static str, Vec<u8>);

/// What the file is made of. The default is a 64-bit little-endian file without anything.
#[derive(Clone, Debug, Default)]
pub(crate) struct Image {
    pub(crate) is_32_bit: bool,
    pub(crate) is_big_endian: bool,
    /// Its section headers are missing, as `sstrip` and packers leave it.
    pub(crate) no_sections: bool,
    pub(crate) sections: Vec<Section>,
    pub(crate) needed: Vec<&'static str>,
    pub(crate) exports: Vec<&'static str>,
    /// Name, type, contents.
    pub(crate) note: Option<(&'static str, u32, Vec<u8>)>,
}

impl Image {
    /// One of nothing but a section.
    pub(crate) fn with_section(name: &'static str, contents: &[u8]) -> Self {
        Self { sections: vec![(name, contents.to_vec())], ..Self::default() }
    }

    /// The file.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut out = Writer { image: self, bytes: Vec::new() };
        let (header, segment, section) = match self.is_32_bit {
            true => (52, 32, 40),
            false => (64, 56, 64),
        };
        out.bytes.resize(header + 3 * segment, 0);
        let (note, note_size) = out.note();
        let (dynamic, dynamic_size) = out.dynamic();
        let mut table = vec![(0, 0, 0, 0)];
        let mut names = vec![0];
        for (name, contents) in &self.sections {
            let at = out.align();
            out.bytes.extend(contents);
            table.push((names.len() as u64, 1, at, contents.len() as u64));
            names.extend(name.bytes().chain([0]));
        }
        let at = out.align();
        table.push((names.len() as u64, 3, at, names.len() as u64 + 10));
        names.extend(b".shstrtab\0");
        out.bytes.extend(&names);
        let sections_at = out.align();
        if !self.no_sections {
            for (name, kind, at, size) in &table {
                out.section(*name, *kind, *at, *size);
            }
        }
        let whole = out.bytes.len() as u64;
        let mut head = Writer { image: self, bytes: Vec::new() };
        let class = [1 + u8::from(!self.is_32_bit), 1 + u8::from(self.is_big_endian), 1];
        head.bytes.extend(b"\x7fELF");
        head.bytes.extend(class);
        head.bytes.resize(16, 0);
        head.half(2);
        head.half(if self.is_32_bit { 3 } else { 62 });
        head.word(1);
        head.long(BASE);
        head.long(header as u64);
        head.long(if self.no_sections { 0 } else { sections_at });
        head.word(0);
        let count = if self.no_sections { 0 } else { table.len() as u64 };
        let last = count.saturating_sub(1);
        for half in [header as u64, segment as u64, 3, section, count, last] {
            head.half(half);
        }
        head.segment(1, 0, whole);
        head.segment(2, dynamic, dynamic_size);
        head.segment(4, note, note_size);
        assert_eq!(head.bytes.len(), header + 3 * segment);
        out.bytes.splice(..head.bytes.len(), head.bytes);
        out.bytes
    }
}

struct Writer<'a> {
    image: &'a Image,
    bytes: Vec<u8>,
}

impl Writer<'_> {
    fn put(&mut self, value: u64, size: usize) {
        let all = value.to_le_bytes();
        match self.image.is_big_endian {
            true => self.bytes.extend(all[..size].iter().rev()),
            false => self.bytes.extend(&all[..size]),
        }
    }

    fn half(&mut self, value: u64) {
        self.put(value, 2);
    }

    fn word(&mut self, value: u64) {
        self.put(value, 4);
    }

    /// An address, an offset or a size.
    fn long(&mut self, value: u64) {
        self.put(value, if self.image.is_32_bit { 4 } else { 8 });
    }

    fn align(&mut self) -> u64 {
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        self.bytes.len() as u64
    }

    fn segment(&mut self, kind: u64, at: u64, size: u64) {
        self.word(kind);
        if self.image.is_32_bit {
            for value in [at, BASE + at, BASE + at, size, size, 4, 4] {
                self.word(value);
            }
        } else {
            self.word(4);
            for value in [at, BASE + at, BASE + at, size, size, 4] {
                self.long(value);
            }
        }
    }

    fn section(&mut self, name: u64, kind: u64, at: u64, size: u64) {
        self.word(name);
        self.word(kind);
        for value in [0, 0, at, size] {
            self.long(value);
        }
        self.word(0);
        self.word(0);
        self.long(1);
        self.long(0);
    }

    /// Where the note is, and its size.
    fn note(&mut self) -> (u64, u64) {
        let at = self.align();
        if let Some((name, kind, contents)) = &self.image.note {
            self.word(name.len() as u64 + 1);
            self.word(contents.len() as u64);
            self.word((*kind).into());
            self.bytes.extend(name.bytes().chain([0]));
            self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
            self.bytes.extend(contents);
            self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        }
        (at, self.bytes.len() as u64 - at)
    }

    /// Strings, symbols, their hash table and what leads to them: where that is, and its size.
    fn dynamic(&mut self) -> (u64, u64) {
        let Image { needed, exports, .. } = self.image;
        let mut strings = vec![0];
        let mut name = |text: &str| {
            let at = strings.len() as u64;
            strings.extend(text.bytes().chain([0]));
            at
        };
        let needed: Vec<_> = needed.iter().map(|library| name(library)).collect();
        let symbols: Vec<_> = exports.iter().map(|symbol| name(symbol)).collect();
        let strings_at = self.align();
        self.bytes.extend(&strings);
        let symbols_at = self.align();
        let size = if self.image.is_32_bit { 16 } else { 24 };
        self.bytes.resize(self.bytes.len() + size, 0);
        for symbol in &symbols {
            // A global function in section 1.
            self.word(*symbol);
            if self.image.is_32_bit {
                self.word(BASE);
                self.word(4);
                self.bytes.extend([0x12, 0]);
                self.half(1);
            } else {
                self.bytes.extend([0x12, 0]);
                self.half(1);
                self.long(BASE);
                self.long(4);
            }
        }
        let hashes_at = self.align();
        // One bucket, one word of the filter, which lets everything pass; then the chain.
        for word in [1, 1, 1, 0] {
            self.word(word);
        }
        self.long(u64::MAX);
        self.word(u64::from(!exports.is_empty()));
        for (i, symbol) in exports.iter().enumerate() {
            let hash = symbol
                .bytes()
                .fold(5381_u32, |hash, byte| hash.wrapping_mul(33).wrapping_add(byte.into()));
            let is_last = i + 1 == exports.len();
            self.word(u64::from(hash & !1) | u64::from(is_last));
        }
        let at = self.align();
        let tables = [(5, strings_at), (6, symbols_at), (0x6fff_fef5, hashes_at)];
        let entries = needed.iter().map(|name| (1, *name));
        for (tag, value) in entries.chain(tables.map(|(tag, at)| (tag, BASE + at))).chain([(0, 0)])
        {
            self.long(tag);
            self.long(value);
        }
        (at, self.bytes.len() as u64 - at)
    }
}
