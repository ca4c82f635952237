//! Front-end times from runs whose two sides were recorded.
