//! Pages of a listing, with cursors.

/// The most items of a page. A reply stays well under the 4 MiB that gRPC clients accept.
pub const PAGE_SIZE_MAX: u32 = 100;
/// The size of a page when the caller does not say.
pub const PAGE_SIZE_DEFAULT: u32 = 20;

/// A request for a page of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageRequest<C> {
    /// The cursor of the last item of the page before; none for the first page.
    pub after: Option<C>,
    /// The most items wanted, 1 to [`PAGE_SIZE_MAX`].
    pub size: u32,
}

impl<C> PageRequest<C> {
    /// The first page, of the given size.
    pub fn first(size: u32) -> Self {
        Self { after: None, size }
    }
}

/// One page of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T, C> {
    /// The items in the order of the listing.
    pub items: Vec<T>,
    /// The cursor for the next page; none at the end.
    pub next: Option<C>,
}

impl<T, C> Page<T, C> {
    /// Makes a page of `size` from up to `size + 1` rows. The extra row shows that there is a next page.
    pub fn from_rows(mut rows: Vec<T>, size: u32, cursor: impl Fn(&T) -> C) -> Self {
        let size = size as usize;
        let more = rows.len() > size;
        rows.truncate(size);
        let next = if more { rows.last().map(cursor) } else { None };
        Self { items: rows, next }
    }

    /// The same page with other items.
    pub fn map<U>(self, convert: impl FnMut(T) -> U) -> Page<U, C> {
        Page { items: self.items.into_iter().map(convert).collect(), next: self.next }
    }
}
