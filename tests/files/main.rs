//! What is read and written: data, recipes, reports, exports.

#[cfg(feature = "parquet")]
mod data_columns;
mod data_damage;
mod data_digits;
mod data_fetch;
mod data_formats;
mod data_parts;
mod data_pictures;
mod data_tables;
mod data_target;
mod data_weights;
mod export;
mod floors;
mod metrics;
mod recipe;
mod recipe_bundled;
mod recipe_data;
mod recipe_graph;
mod recipe_model;
mod recipe_round_trip;
mod recipe_sweep;
mod report_drawings;
mod report_pages;
mod start;
