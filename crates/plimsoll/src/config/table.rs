//! The form in which settings are defined: once, with type, default, bounds and words, and everything else follows from it.
//!
//! `table!` makes a plain struct for the program to read, and a [`Table`] that says for each field how it is written. The file layer,
//! the environment, `explain`, `plimsoll.toml` and `docs/configuration.md` all walk the [`Table`]s; none of them knows a setting by name.

use super::raw::{Raw, Read};

/// The settings under one `[header]` of `plimsoll.toml`, all of which live somewhere in a `T`.
pub struct Table<T: 'static> {
    /// Empty for the keys above the first header.
    pub path: &'static str,
    about: &'static str,
    pub fields: &'static [Field<T>],
}

impl<T> Table<T> {
    pub const fn new(path: &'static str, about: &'static str, fields: &'static [Field<T>]) -> Self {
        Self { path, about, fields }
    }

    pub fn about(&self) -> Vec<&'static str> {
        lines(self.about)
    }
}

/// One setting.
pub struct Field<T> {
    /// The whole key, such as `gateway.timeouts.head`.
    pub path: &'static str,
    pub doc: &'static str,
    /// The long flag that sets it too, without its dashes.
    pub flag: Option<&'static str>,
    /// Must not reach a screen or a log.
    pub secret: bool,
    /// May be left out where there is no default.
    pub optional: bool,
    /// Read once, at the start: a reload cannot change it.
    pub restart: bool,
    pub read: fn(&mut T, &Raw<'_>) -> Read<()>,
    /// The value as TOML.
    pub print: fn(&T) -> String,
    /// The value for eyes.
    pub show: fn(&T) -> String,
    pub accepts: fn() -> String,
}

impl<T> Field<T> {
    /// The last part of the key.
    pub fn name(&self) -> &'static str {
        self.path.rsplit('.').next().unwrap_or(self.path)
    }

    pub fn doc(&self) -> Vec<&'static str> {
        lines(self.doc)
    }

    /// The first sentence of the documentation: what fits into one line of help.
    pub fn summary(&self) -> String {
        let doc = self.doc().join(" ");
        doc.split_inclusive(". ").next().unwrap_or_default().trim().trim_end_matches('.').to_owned()
    }

    /// `PLIMSOLL__GATEWAY__PORT`
    pub fn variable(&self) -> String {
        format!("PLIMSOLL__{}", self.path.replace('.', "__").to_ascii_uppercase())
    }

    /// `PLIMSOLL_PORT`, for a setting that has a flag.
    pub fn flag_variable(&self) -> Option<String> {
        self.flag.map(|flag| format!("PLIMSOLL_{}", flag.replace('-', "_").to_ascii_uppercase()))
    }
}

fn lines(doc: &'static str) -> Vec<&'static str> {
    doc.lines().map(str::trim).collect()
}

/// Declares a struct of settings and its [`Table`].
///
/// `struct Timeouts at [Settings.gateway.timeouts]` is a part of the one tree of settings; its path follows from its place.
/// `struct Route at [Route as "route"]` is an entry of an array of tables and stands for itself. `at restart` marks what a reload cannot
/// change.
macro_rules! table {
    (
        $(#[doc = $about:literal])+
        struct $name:ident at $at:tt {
            $(
                $(#[doc = $doc:literal])+
                $field:ident $(as $key:literal)? : $kind:ty = $default:expr, $shape:expr $(, flag $flag:literal)? $(, at $restart:ident)? ;
            )+
        }
        $( parts { $( $(#[doc = $part_doc:literal])? $part:ident : $part_kind:ty, )+ } )?
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {
            $( $(#[doc = $doc])+ pub $field: $kind, )+
            $( $( $(#[doc = $part_doc])? pub $part: $part_kind, )+ )?
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $( $field: $default, )+ $( $( $part: Default::default(), )+ )? }
            }
        }

        impl $name {
            pub const TABLE: $crate::config::table::Table<table!(@root $at)> = $crate::config::table::Table::new(
                table!(@path $at),
                concat!($($about, "\n"),+),
                &[ $( $crate::config::table::Field {
                    path: table!(@key $at $field $($key)?),
                    doc: concat!($($doc, "\n"),+),
                    flag: table!(@flag $($flag)?),
                    secret: $crate::config::shape::is_secret(&$shape),
                    optional: $crate::config::shape::is_optional(&$shape),
                    restart: table!(@restart $($restart)?),
                    read: |target, raw| {
                        table!(@place target $at $field) = $crate::config::shape::Shape::read(&$shape, raw)?;
                        Ok(())
                    },
                    print: |target| $crate::config::shape::Shape::print(&$shape, &table!(@place target $at $field)),
                    show: |target| $crate::config::shape::Shape::show(&$shape, &table!(@place target $at $field)),
                    accepts: || $crate::config::shape::Shape::accepts(&$shape),
                }, )+ ],
            );
        }
    };
    (@root [$root:ident $($rest:tt)*]) => { $root };
    (@place $target:ident [$root:ident $(. $step:ident)* $(as $path:literal)?] $field:ident) => { $target $(. $step)* . $field };
    (@path [$root:ident as $path:literal]) => { $path };
    (@path [$root:ident]) => { "" };
    (@path [$root:ident . $first:ident $(. $step:ident)*]) => { concat!(stringify!($first), $( ".", stringify!($step) ),*) };
    (@key $at:tt $field:ident) => { table!(@joined $at stringify!($field)) };
    (@key $at:tt $field:ident $key:literal) => { table!(@joined $at $key) };
    (@joined [$root:ident as $path:literal] $key:expr) => { concat!($path, ".", $key) };
    (@joined [$root:ident $(. $step:ident)*] $key:expr) => { concat!($( stringify!($step), ".", )* $key) };
    (@flag $flag:literal) => { Some($flag) };
    (@flag) => { None };
    (@restart restart) => { true };
    (@restart) => { false };
}
pub(super) use table;
