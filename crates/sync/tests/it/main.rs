//! What a sync promises, over real and shaky libraries.

mod decay;
mod histories;
mod model;
mod pair;
mod rules;
