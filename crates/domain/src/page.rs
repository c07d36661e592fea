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

    /// The first items, which take at most `bytes` together, and at least one of them.
    pub fn within(mut self, bytes: usize, size: impl Fn(&T) -> usize, cursor: impl Fn(&T) -> C) -> Self {
        let mut taken = 0;
        let fits = self.items.iter().take_while(|item| {
            taken += size(item);
            taken <= bytes
        });
        let fits = fits.count().max(1);
        if fits < self.items.len() {
            self.items.truncate(fits);
            self.next = self.items.last().map(cursor);
        }
        self
    }

    /// The same page with other items.
    pub fn map<U>(self, convert: impl FnMut(T) -> U) -> Page<U, C> {
        Page { items: self.items.into_iter().map(convert).collect(), next: self.next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_cut_where_its_bytes_end() {
        let page = || Page { items: vec![3, 4, 5], next: Some(5) };
        let within = |bytes| page().within(bytes, |item| *item, |item| *item);
        assert_eq!(within(12), page());
        assert_eq!(within(11), Page { items: vec![3, 4], next: Some(4) });
        assert_eq!(within(6), Page { items: vec![3], next: Some(3) });
        assert_eq!(within(1), Page { items: vec![3], next: Some(3) }, "a page without items would have no end");
        let last = Page { items: vec![3, 4], next: None };
        assert_eq!(last.clone().within(7, |item| *item, |item| *item), last);
        let none = Page::<usize, usize> { items: vec![], next: None };
        assert_eq!(none.clone().within(0, |item| *item, |item| *item), none);
    }
}
