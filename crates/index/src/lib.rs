//! Vectors arranged for search.
