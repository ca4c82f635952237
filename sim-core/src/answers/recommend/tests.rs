//! The rounds over engines that are formulas, and the front.
