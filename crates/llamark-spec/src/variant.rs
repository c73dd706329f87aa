//! The variants of a backend with a matrix: their settings, and what they are called.

use llamark_record::plan::CacheType;

use crate::experiment::{Combination, Matrix, Server};
use crate::matrix::Axes;
use crate::values::LayerCount;

/// A setting of the server and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Setting {
    GpuLayers(LayerCount),
    FlashAttn(bool),
    CacheTypeK(CacheType),
    CacheTypeV(CacheType),
    Mmap(bool),
    Mlock(bool),
    Threads(u32),
    ThreadsBatch(u32),
    Batch(u32),
    Ubatch(u32),
}

impl Setting {
    /// Its name and its value, as in an experiment.
    pub(crate) fn text(self) -> (&'static str, String) {
        match self {
            Self::GpuLayers(LayerCount::All) => ("gpu_layers", "all".to_owned()),
            Self::GpuLayers(LayerCount::Count(count)) => ("gpu_layers", count.to_string()),
            Self::FlashAttn(on) => ("flash_attn", on.to_string()),
            Self::CacheTypeK(of) => ("cache_type_k", of.name().to_owned()),
            Self::CacheTypeV(of) => ("cache_type_v", of.name().to_owned()),
            Self::Mmap(on) => ("mmap", on.to_string()),
            Self::Mlock(on) => ("mlock", on.to_string()),
            Self::Threads(count) => ("threads", count.to_string()),
            Self::ThreadsBatch(count) => ("threads_batch", count.to_string()),
            Self::Batch(size) => ("batch", size.to_string()),
            Self::Ubatch(size) => ("ubatch", size.to_string()),
        }
    }

    fn put(self, server: &mut Server) {
        match self {
            Self::GpuLayers(layers) => server.gpu_layers = Some(layers),
            Self::FlashAttn(on) => server.flash_attn = Some(on),
            Self::CacheTypeK(of) => server.cache_type_k = Some(of),
            Self::CacheTypeV(of) => server.cache_type_v = Some(of),
            Self::Mmap(on) => server.mmap = Some(on),
            Self::Mlock(on) => server.mlock = Some(on),
            Self::Threads(count) => server.threads = Some(count),
            Self::ThreadsBatch(count) => server.threads_batch = Some(count),
            Self::Batch(size) => server.batch = Some(size),
            Self::Ubatch(size) => server.ubatch = Some(size),
        }
    }
}

/// One backend that a backend of the experiment becomes.
#[derive(Clone, Debug)]
pub(crate) struct Variant {
    /// What follows the name of the backend: `+threads=2+ubatch=128`, or nothing without a matrix.
    pub(crate) name: String,
    /// What follows its label: `, threads 2, ubatch 128`.
    pub(crate) label: String,
    /// All that is said of the server.
    pub(crate) server: Server,
}

/// The variants of a backend with these settings: one without a matrix.
///
/// The settings stand in a fixed order, whatever that of the experiment is, and each that the matrix names is said: so the
/// name of a variant does not depend on which others there are.
pub(crate) fn variants(server: &Server, matrix: Option<&Matrix>) -> Vec<Variant> {
    let Some(matrix) = matrix else {
        return vec![Variant { name: String::new(), label: String::new(), server: server.clone() }];
    };
    let axes = Axes {
        axes: axes(matrix),
        exclude: matrix.exclude.iter().flatten().map(settings).collect(),
        include: matrix.include.iter().flatten().map(settings).collect(),
    };
    axes.variants().iter().map(|settings| variant(server, settings)).collect()
}

fn variant(server: &Server, settings: &[Setting]) -> Variant {
    let (mut name, mut label, mut server) = (String::new(), String::new(), server.clone());
    for setting in settings {
        let (key, value) = setting.text();
        name.push_str(&format!("+{key}={value}"));
        label.push_str(&format!(", {key} {value}"));
        setting.put(&mut server);
    }
    Variant { name, label, server }
}

fn axes(matrix: &Matrix) -> Vec<Vec<Setting>> {
    fn axis<T: Copy>(values: Option<&Vec<T>>, setting: fn(T) -> Setting) -> Vec<Setting> {
        values.into_iter().flatten().map(|value| setting(*value)).collect()
    }
    let axes = [
        axis(matrix.gpu_layers.as_ref(), Setting::GpuLayers),
        axis(matrix.flash_attn.as_ref(), Setting::FlashAttn),
        axis(matrix.cache_type_k.as_ref(), Setting::CacheTypeK),
        axis(matrix.cache_type_v.as_ref(), Setting::CacheTypeV),
        axis(matrix.mmap.as_ref(), Setting::Mmap),
        axis(matrix.mlock.as_ref(), Setting::Mlock),
        axis(matrix.threads.as_ref(), Setting::Threads),
        axis(matrix.threads_batch.as_ref(), Setting::ThreadsBatch),
        axis(matrix.batch.as_ref(), Setting::Batch),
        axis(matrix.ubatch.as_ref(), Setting::Ubatch),
    ];
    axes.into_iter().filter(|axis| !axis.is_empty()).collect()
}

fn settings(of: &Combination) -> Vec<Setting> {
    [
        of.gpu_layers.map(Setting::GpuLayers),
        of.flash_attn.map(Setting::FlashAttn),
        of.cache_type_k.map(Setting::CacheTypeK),
        of.cache_type_v.map(Setting::CacheTypeV),
        of.mmap.map(Setting::Mmap),
        of.mlock.map(Setting::Mlock),
        of.threads.map(Setting::Threads),
        of.threads_batch.map(Setting::ThreadsBatch),
        of.batch.map(Setting::Batch),
        of.ubatch.map(Setting::Ubatch),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backend_without_a_matrix_is_itself() {
        let server = Server { threads: Some(3), ..Server::default() };
        let all = variants(&server, None);
        assert_eq!((all.len(), all[0].name.as_str(), all[0].server.threads), (1, "", Some(3)));
    }

    #[test]
    fn variants_are_named_after_their_values() {
        let matrix = Matrix {
            ubatch: Some(vec![128, 512]),
            threads: Some(vec![1, 2]),
            exclude: Some(vec![Combination {
                ubatch: Some(512),
                threads: Some(1),
                ..Combination::default()
            }]),
            include: Some(vec![Combination { ubatch: Some(64), ..Combination::default() }]),
            ..Matrix::default()
        };
        let server = Server { threads: Some(8), mmap: Some(false), ..Server::default() };
        let all = variants(&server, Some(&matrix));
        let names: Vec<&str> = all.iter().map(|variant| variant.name.as_str()).collect();
        assert_eq!(
            names,
            ["+threads=1+ubatch=128", "+threads=2+ubatch=128", "+threads=2+ubatch=512", "+ubatch=64"]
        );
        assert_eq!(all[1].label, ", threads 2, ubatch 128");
        assert_eq!((all[1].server.threads, all[1].server.mmap), (Some(2), Some(false)));
        assert_eq!(all[3].server.threads, Some(8), "what it does not name is as the backend has it");
    }
}
