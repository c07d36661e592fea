use std::ops::Bound;

use encore_domain::page::PageRequest;

/// The range of the index after the cursor of a page in ascending order.
pub fn above<C: Copy>(page: &PageRequest<C>) -> (Bound<C>, Bound<C>) {
    (page.after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded)
}

/// The range of the index before the cursor of a page in descending order.
pub fn below<C: Copy>(page: &PageRequest<C>) -> (Bound<C>, Bound<C>) {
    (Bound::Unbounded, page.after.map_or(Bound::Unbounded, Bound::Excluded))
}

/// The number of rows to read: those of the page, and one that shows whether there is a next page.
pub fn rows<C>(page: &PageRequest<C>) -> usize {
    page.size as usize + 1
}
