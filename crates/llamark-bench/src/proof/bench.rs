//! What was asked of llama-bench beside what was observed: weaker than of a server, which can be asked.

use llamark_record::journal::Proof;
use llamark_record::llama_bench::Row;

use super::{of_log, same};
use crate::flags::LaunchRequest;
use crate::log::LogSummary;

/// One proof for each setting: what the log shows was done, and of threads and batches what the row says was asked.
pub(crate) fn prove_bench(request: &LaunchRequest<'_>, row: &Row, log: &LogSummary) -> Vec<Proof> {
    let settings = request.settings;
    let stated = |name: &str| row.settings.get(name).cloned();
    let mut proofs = vec![same("model", &request.model, Some(&row.model), "row")];
    proofs.extend(of_log(request, log));
    for (setting, asked, name) in [
        ("threads", settings.threads, "n_threads"),
        ("batch", settings.batch, "n_batch"),
        ("ubatch", settings.ubatch, "n_ubatch"),
    ] {
        proofs.push(same(setting, &asked, stated(name), "row"));
    }
    proofs
}
