//! What an executable says of itself. The file may be damaged, or made to do damage: what is read
//! of it, and what is kept of that, is bounded whatever its headers claim.

use std::cell::Cell;
use std::fs::File;
use std::ops::Range;

use object::elf::{
    DT_GNU_HASH, DT_NEEDED, DT_NULL, DT_STRTAB, DT_SYMTAB, ELF_NOTE_GNU, ELF_NOTE_GO, FileHeader32,
    FileHeader64, NT_GNU_BUILD_ID, NT_GO_BUILD_ID, NoteType, PT_LOAD, gnu_hash,
};
use object::read::elf::{Dyn as _, FileHeader, ProgramHeader as _, SectionHeader as _, Sym as _};
use object::read::{ReadCache, ReadRef};
use object::{Endianness, U32};

use super::scan::Scan;
use super::{Language, names};

/// Bytes of headers, names and notes that are read, and kept meanwhile, of one file.
const HEADERS_MAX: u64 = 512 << 10;
/// Sections whose names are looked at.
const SECTIONS_MAX: usize = 1_000;
/// Libraries that a file is linked with whose names are looked at.
const NEEDED_MAX: usize = 256;
/// Bytes that a name of interest may have, and more than any has.
const NAME_MAX: u64 = 256;
/// Symbols in one chain of the hash table that are looked at.
const CHAIN_MAX: u64 = 64;
/// Bytes of a build id. GNU's has 20, Go's 83; one below 8 is somebody's joke.
const BUILD_ID: Range<usize> = 8..129;

/// What a file says, whatever it is called and whatever it loads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Evidence {
    /// It was compiled from this language, or is or carries the runtime of it.
    pub(super) own: Option<Language>,
    /// It is linked with the runtime of this language, or is a script of it.
    pub(super) linked: Option<Language>,
    /// It was compiled from C++, at least in part.
    pub(super) cxx: bool,
}

/// Sections that only one kind of program has. Every Go linker writes one of its three, stripped or
/// not; GraalVM's image heap is Java's; the loader of `PyInstaller` carries its archive in a section.
const SECTIONS: [(&[u8], Language); 7] = [
    (b".gopclntab", Language::Go),
    (b".go.buildinfo", Language::Go),
    (b".note.go.buildid", Language::Go),
    (b".svm_heap", Language::Java),
    (b".bun", Language::Nodejs),
    (b"__managedcode", Language::Dotnet),
    (b"pydata", Language::Python),
];

/// Symbols that an executable exports to extensions, debuggers or itself if it is, or carries, a
/// runtime: renamed, stripped or with an application inside. Deno and Bun export Node's.
const EXPORTS: [(&[u8], Language); 9] = [
    (b"napi_create_function", Language::Nodejs),
    (b"JNI_CreateJavaVM", Language::Java),
    (b"graal_create_isolate", Language::Java),
    (b"DotNetRuntimeInfo", Language::Dotnet),
    (b"DotNetRuntimeDebugHeader", Language::Dotnet),
    (b"Py_BytesMain", Language::Python),
    (b"Py_Main", Language::Python),
    (b"ruby_run_node", Language::Ruby),
    (b"php_request_startup", Language::Php),
];

/// In the data of every launcher that .NET's SDK makes: the SHA-256 of ".net core bundle\n".
const DOTNET_LAUNCHER: [u8; 32] = [
    0x8b, 0x12, 0x02, 0xb9, 0x6a, 0x61, 0x20, 0x38, 0x72, 0x7b, 0x93, 0x02, 0x14, 0xd7, 0xa0, 0x32,
    0x13, 0xf5, 0xb9, 0xe6, 0xef, 0xae, 0x33, 0x18, 0xee, 0x3b, 0x2d, 0xce, 0x24, 0xb3, 0x6a, 0xae,
];

/// What rustc signs with, since 1.73.
const RUSTC: &[u8] = b"rustc version";
/// Its standard library tells where it panicked, in stripped programs, too.
const RUST_PATHS: &[u8] = b"library/std/src/";
/// Its exceptions, in programs with symbols.
const RUST_SYMBOL: &[u8] = b"rust_eh_personality";
/// Names of C++'s own types, which its library carries.
const CXX_TYPES: &[u8] = b"N10__cxxabiv1";
/// Its exceptions, in programs with symbols.
const CXX_SYMBOL: &[u8] = b"__gxx_personality_v0";

/// Everything that is known from the file; `None` = it is no ELF file.
pub(super) fn evidence(file: &File) -> Option<Evidence> {
    let (cache, left) = (ReadCache::new(file), Cell::new(HEADERS_MAX));
    let data = Bounded { file: &cache, left: &left };
    Some(match class(data)? {
        Class::Bits32 => Elf::<FileHeader32<Endianness>>::parse(data)?.evidence(file),
        Class::Bits64 => Elf::<FileHeader64<Endianness>>::parse(data)?.evidence(file),
    })
}

/// What the linker calls its work: GNU's build id, else Go's.
pub(super) fn build_id(file: &File) -> Option<Box<[u8]>> {
    let (cache, left) = (ReadCache::new(file), Cell::new(HEADERS_MAX));
    let data = Bounded { file: &cache, left: &left };
    match class(data)? {
        Class::Bits32 => Elf::<FileHeader32<Endianness>>::parse(data)?.build_id(),
        Class::Bits64 => Elf::<FileHeader64<Endianness>>::parse(data)?.build_id(),
    }
}

enum Class {
    Bits32,
    Bits64,
}

fn class(data: Bounded<'_>) -> Option<Class> {
    match data.read_bytes_at(0, 5).ok()? {
        [0x7f, b'E', b'L', b'F', 1] => Some(Class::Bits32),
        [0x7f, b'E', b'L', b'F', 2] => Some(Class::Bits64),
        _ => None,
    }
}

/// A file of which only so much is read.
#[derive(Clone, Copy, Debug)]
struct Bounded<'a> {
    file: &'a ReadCache<&'a File>,
    left: &'a Cell<u64>,
}

impl Bounded<'_> {
    fn take(self, size: u64) -> Result<(), ()> {
        self.left.set(self.left.get().checked_sub(size).ok_or(())?);
        Ok(())
    }
}

impl<'a> ReadRef<'a> for Bounded<'a> {
    fn len(self) -> Result<u64, ()> {
        self.file.len()
    }

    fn read_bytes_at(self, offset: u64, size: u64) -> Result<&'a [u8], ()> {
        self.take(size)?;
        self.file.read_bytes_at(offset, size)
    }

    fn read_bytes_at_until(self, range: Range<u64>, delimiter: u8) -> Result<&'a [u8], ()> {
        self.take(NAME_MAX)?;
        let end = range.end.min(range.start.saturating_add(NAME_MAX));
        self.file.read_bytes_at_until(range.start..end, delimiter)
    }
}

/// The headers of a file. What of them cannot be read counts as not there.
struct Elf<'a, E: FileHeader<Endian = Endianness>> {
    data: Bounded<'a>,
    endian: Endianness,
    header: &'a E,
    segments: &'a [E::ProgramHeader],
}

impl<'a, E: FileHeader<Endian = Endianness>> Elf<'a, E> {
    fn parse(data: Bounded<'a>) -> Option<Self> {
        let header = E::parse(data).ok()?;
        let endian = header.endian().ok()?;
        let segments = header.program_headers(endian, data).unwrap_or_default();
        Some(Self { data, endian, header, segments })
    }

    fn evidence(&self, file: &File) -> Evidence {
        let sections = self.sections();
        let dynamic = self.dynamic();
        let needed = dynamic.as_ref().map(|dynamic| self.needed(dynamic)).unwrap_or_default();
        let linked = needed.iter().filter_map(|library| names::of_library(library));
        let linked = linked.min_by_key(|(order, _)| *order).map(|(_, language)| language);
        let exports = |name| dynamic.as_ref().is_some_and(|dynamic| self.exports(dynamic, name));
        let by_section = |(name, _): &&(&[u8], Language)| sections.iter().any(|s| s.0 == *name);
        let known = SECTIONS
            .iter()
            .find(by_section)
            .or_else(|| EXPORTS.iter().find(|(name, _)| exports(name)))
            .map(|(_, language)| *language);
        if known.is_some() || self.note(ELF_NOTE_GO, NT_GO_BUILD_ID).is_some() {
            return Evidence { own: known.or(Some(Language::Go)), ..Evidence::default() };
        }
        if linked.is_some() {
            // A launcher of that runtime.
            return Evidence { linked, ..Evidence::default() };
        }
        let (own, cxx) = by_contents(&mut Scan::new(file), &sections);
        Evidence { own, linked, cxx: cxx || needed.iter().any(|library| names::is_cxx(library)) }
    }

    fn build_id(&self) -> Option<Box<[u8]>> {
        let id = self
            .note(ELF_NOTE_GNU, NT_GNU_BUILD_ID)
            .or_else(|| self.note(ELF_NOTE_GO, NT_GO_BUILD_ID))?;
        BUILD_ID.contains(&id.len()).then(|| id.into())
    }

    fn note(&self, name: &[u8], kind: NoteType) -> Option<&'a [u8]> {
        self.segments
            .iter()
            .filter_map(|segment| segment.notes(self.endian, self.data).ok()?)
            .flat_map(|mut notes| std::iter::from_fn(move || notes.next().ok()?))
            .find(|note| note.name() == name && note.n_type(self.endian) == kind)
            .map(|note| note.desc())
    }

    /// Names of sections, and where in the file they are.
    fn sections(&self) -> Vec<Section<'a>> {
        let Ok(table) = self.header.sections(self.endian, self.data) else { return Vec::new() };
        let place = |section: &E::SectionHeader| {
            let (start, size) = section.file_range(self.endian).unwrap_or_default();
            start..start.saturating_add(size)
        };
        table
            .iter()
            .take(SECTIONS_MAX)
            .filter_map(|s| Some((table.section_name(self.endian, s).ok()?, place(s))))
            .collect()
    }

    fn dynamic(&self) -> Option<Dynamic<'a, E>> {
        let mut segments = self.segments.iter();
        let entries =
            segments.find_map(|segment| segment.dynamic(self.endian, self.data).ok()?)?;
        let table = |tag| {
            let entry = entries.iter().find(|entry| entry.tag(self.endian) == tag)?;
            self.offset_of(entry.val(self.endian))
        };
        Some(Dynamic {
            entries,
            strings: table(DT_STRTAB)?,
            symbols: table(DT_SYMTAB),
            hashes: table(DT_GNU_HASH),
        })
    }

    /// Where in the file that lies which is loaded at `address`.
    fn offset_of(&self, address: u64) -> Option<u64> {
        self.segments.iter().filter(|s| s.p_type(self.endian) == PT_LOAD).find_map(|segment| {
            let (start, size) = segment.file_range(self.endian);
            let within = address.checked_sub(segment.p_vaddr(self.endian).into())?;
            (within < size).then(|| start.checked_add(within))?
        })
    }

    /// Libraries that it is linked with.
    fn needed(&self, dynamic: &Dynamic<'a, E>) -> Vec<&'a [u8]> {
        dynamic
            .entries
            .iter()
            .take_while(|entry| entry.tag(self.endian) != DT_NULL)
            .filter(|entry| entry.tag(self.endian) == DT_NEEDED)
            .take(NEEDED_MAX)
            .filter_map(|entry| self.string(dynamic, entry.val(self.endian)))
            .collect()
    }

    fn string(&self, dynamic: &Dynamic<'a, E>, at: u64) -> Option<&'a [u8]> {
        let start = dynamic.strings.checked_add(at)?;
        self.data.read_bytes_at_until(start..self.data.len().ok()?, 0).ok()
    }

    /// Whether it defines the symbol for others. The hash table leads to it (GNU's: buckets, each
    /// with the index of the first symbol of a chain, and a word a symbol: its hash, whose lowest
    /// bit ends the chain), so that a large symbol table costs no more than a small one.
    fn exports(&self, dynamic: &Dynamic<'a, E>, name: &[u8]) -> bool {
        self.find_export(dynamic, name).is_some()
    }

    fn find_export(&self, dynamic: &Dynamic<'a, E>, name: &[u8]) -> Option<()> {
        let (symbols, table) = (dynamic.symbols?, dynamic.hashes?);
        let word = |at: u64| Some(self.data.read_at::<U32<Endianness>>(at).ok()?.get(self.endian));
        let [buckets, first, blooms] = [0, 4, 8].map(|at| word(table.checked_add(at)?));
        let (buckets, first, blooms) = (buckets?, first?, blooms?);
        let bloom_bytes = u64::from(blooms) * size_of::<E::Word>() as u64;
        let buckets_at = table.checked_add(16)?.checked_add(bloom_bytes)?;
        let hashes_at = buckets_at.checked_add(u64::from(buckets) * 4)?;
        let hash = gnu_hash(name);
        let bucket = hash.checked_rem(buckets)?;
        let start = word(buckets_at.checked_add(u64::from(bucket) * 4)?)?;
        for index in u64::from(start)..u64::from(start) + CHAIN_MAX {
            let in_chain = word(hashes_at.checked_add(index.checked_sub(first.into())? * 4)?)?;
            if in_chain | 1 == hash | 1 {
                let at = symbols.checked_add(index * size_of::<E::Sym>() as u64)?;
                let symbol = self.data.read_at::<E::Sym>(at).ok()?;
                let symbol_name = self.string(dynamic, symbol.st_name(self.endian).into());
                if symbol_name == Some(name) {
                    return (!symbol.is_undefined(self.endian)).then_some(());
                }
            }
            if in_chain & 1 == 1 {
                return None;
            }
        }
        None
    }
}

/// A section's name, and where in the file it is.
type Section<'a> = (&'a [u8], Range<u64>);

/// What the dynamic loader reads.
struct Dynamic<'a, E: FileHeader> {
    entries: &'a [E::Dyn],
    /// Offsets in the file.
    strings: u64,
    symbols: Option<u64>,
    hashes: Option<u64>,
}

/// What only a look at the contents tells: .NET's launcher and Rust, and whether C++ is in it.
fn by_contents(scan: &mut Scan<'_>, sections: &[Section<'_>]) -> (Option<Language>, bool) {
    let part = |name: &[u8]| {
        sections.iter().find(|section| section.0 == name).map_or(0..0, |section| section.1.clone())
    };
    if scan.find(part(b".data"), [&DOTNET_LAUNCHER]) == [true] {
        return (Some(Language::Dotnet), false);
    }
    let [rust] = scan.find(part(b".comment"), [RUSTC]);
    let [rust, cxx] = match rust {
        true => [true, false],
        false => scan.find(part(b".rodata"), [RUST_PATHS, CXX_TYPES]),
    };
    let [rust, cxx] = match rust || cxx {
        true => [rust, cxx],
        false => scan.find(part(b".strtab"), [RUST_SYMBOL, CXX_SYMBOL]),
    };
    (rust.then_some(Language::Rust), cxx)
}
