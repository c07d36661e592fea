use std::ops::Bound;

use encore_domain::page::PageRequest;

/// Where a page of an ascending listing is in its index.
pub fn above<C: Copy>(page: &PageRequest<C>) -> (Bound<C>, Bound<C>) {
    (page.after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded)
}

/// Where a page of a descending listing is in its index.
pub fn below<C: Copy>(page: &PageRequest<C>) -> (Bound<C>, Bound<C>) {
    (Bound::Unbounded, page.after.map_or(Bound::Unbounded, Bound::Excluded))
}

/// How many rows make a page and show whether there is a next one.
pub fn rows<C>(page: &PageRequest<C>) -> usize {
    page.size as usize + 1
}
