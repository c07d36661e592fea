//! Reads all pages of a listing.

use encore_domain::error::Unavailable;
use encore_domain::page::{Page, PageRequest};

/// The most items of a listing in any case. A longer listing repeats itself.
const LISTING_MAX: usize = 1_000;

/// The page sizes for a listing of six items: single items, with and without a remainder, and all items in one page.
pub const SIZES: [u32; 5] = [1, 2, 3, 6, 100];

/// Reads all pages of a listing. Only the last page may be short, and only the page of an empty listing may be empty.
pub async fn read_all<T, C, F>(size: u32, read: impl Fn(PageRequest<C>) -> F) -> Vec<T>
where
    F: Future<Output = Result<Page<T, C>, Unavailable>>,
{
    let mut items = Vec::new();
    let mut after = None;
    loop {
        let first = after.is_none();
        let page = read(PageRequest { after, size }).await.expect("the store answers");
        let fits = if page.next.is_some() {
            page.items.len() == size as usize
        } else {
            page.items.len() <= size as usize && (first || !page.items.is_empty())
        };
        assert!(fits, "a page of {} of at most {size}, after {} items", page.items.len(), items.len());
        items.extend(page.items);
        assert!(items.len() <= LISTING_MAX, "the listing has no end");
        match page.next {
            Some(next) => after = Some(next),
            None => return items,
        }
    }
}
