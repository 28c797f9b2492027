//! How the product is measured: floors, peers and scorers.
