//! `llamark schema`: the JSON Schema of an experiment or of a record.

use crate::cli::{Schema, SchemaOf};
use crate::context::Context;
use crate::exit::{Exit, Outcome};

pub(crate) fn run(context: &Context, args: &Schema) -> Outcome {
    let schema = match args.what {
        SchemaOf::Experiment => llamark_spec::experiment_schema(),
        SchemaOf::Lock => llamark_spec::lock_schema(),
        SchemaOf::Plan => llamark_spec::plan_schema(),
        SchemaOf::ResolvedPlan => llamark_spec::resolved_plan_schema(),
        SchemaOf::Journal => llamark_spec::journal_schema(),
        SchemaOf::Manifest => llamark_spec::manifest_schema(),
        SchemaOf::Environment => llamark_spec::environment_schema(),
        SchemaOf::Comparison => llamark_spec::comparison_schema(),
        SchemaOf::Noise => llamark_spec::noise_schema(),
        SchemaOf::Accepted => llamark_spec::accepted_schema(),
        SchemaOf::Engines => llamark_spec::engines_schema(),
        SchemaOf::Bisect => llamark_spec::bisect_schema(),
    };
    context.terminal.json(&schema)?;
    Ok(Exit::Done)
}
