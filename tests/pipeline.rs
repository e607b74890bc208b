//! Batches in, spans out, with a clock of our own: the decoder's rules, one by one.

mod support {
    pub(crate) mod wire;
}
mod rules {
    pub(crate) mod host;
    mod identity;
    mod loss;
    mod order;
    mod parents;
}
