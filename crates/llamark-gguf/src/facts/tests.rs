//! Facts of small headers of every kind, made by hand.

use std::io::Cursor;

use camino::Utf8Path;

use super::*;
use crate::encode::Encoder;
use crate::parse::parse;
use crate::value::ValueType;

/// A model of architecture `a`, with the keys that all have.
fn header(build: impl Fn(&mut Encoder)) -> Header {
    let mut encoder = Encoder::new();
    encoder.string("general.architecture", "a");
    build(&mut encoder);
    let data = encoder.data_bytes();
    let mut bytes = encoder.finish();
    bytes.resize(bytes.len() + data as usize, 0);
    parse(Utf8Path::new("model.gguf"), Cursor::new(&bytes), bytes.len() as u64).unwrap()
}

fn f16(encoder: &mut Encoder, name: &str, dimensions: &[u64]) {
    let elements: u64 = dimensions.iter().product();
    encoder.tensor(name, dimensions, TensorType::F16, 2 * elements);
}

/// Two layers of width 64, 4 heads, 2 KV heads.
fn attention(encoder: &mut Encoder) {
    encoder.u32("a.block_count", 2);
    encoder.u32("a.embedding_length", 64);
    encoder.u32("a.attention.head_count", 4);
    encoder.u32("a.attention.head_count_kv", 2);
    encoder.u32("a.context_length", 2048);
}

#[test]
fn a_dense_model_reads_one_row_of_its_embeddings() {
    let facts = header(|e| {
        attention(e);
        e.u32("general.file_type", 1);
        e.string("general.name", "Tiny");
        e.strings("tokenizer.ggml.tokens", (0..100).map(|i| i.to_string()));
        f16(e, "token_embd.weight", &[64, 100]);
        f16(e, "blk.0.attn_q.weight", &[64, 64]);
        f16(e, "output.weight", &[64, 100]);
    })
    .facts();
    assert_eq!(facts.parameters, 6400 + 4096 + 6400);
    assert_eq!(facts.active_parameters, 64 + 4096 + 6400);
    assert_eq!(facts.tensor_bytes, 2 * facts.parameters);
    assert_eq!(facts.bytes_per_token, 2 * facts.active_parameters);
    assert_eq!((facts.architecture.as_str(), facts.name.as_deref()), ("a", Some("Tiny")));
    assert_eq!((facts.file_type.as_deref(), facts.bits_per_weight), (Some("F16"), 16.0));
    assert_eq!((facts.vocabulary, facts.context_length, facts.layers), (Some(100), Some(2048), Some(2)));
    assert_eq!((facts.experts, facts.experts_used, facts.shards), (None, None, 1));
    // 2 layers × 2 heads × (16 + 16) × 2 bytes.
    assert_eq!(facts.kv_bytes_per_position, Some(256));
    assert_eq!(facts.bytes_by_type, BTreeMap::from([("F16".to_owned(), facts.tensor_bytes)]));
}

#[test]
fn tied_embeddings_are_read_whole() {
    let facts = header(|e| {
        attention(e);
        f16(e, "token_embd.weight", &[64, 100]);
        f16(e, "per_layer_token_embd.weight", &[32, 100]);
    })
    .facts();
    assert_eq!(facts.parameters, 9600);
    assert_eq!(facts.active_parameters, 6400 + 32);
    assert_eq!(facts.bytes_per_token, 2 * (6400 + 32));
}

#[test]
fn experts_count_by_those_used() {
    let facts = header(|e| {
        attention(e);
        e.u32("a.expert_count", 8);
        e.u32("a.expert_used_count", 2);
        f16(e, "token_embd.weight", &[64, 100]);
        f16(e, "output.weight", &[64, 100]);
        f16(e, "blk.0.ffn_gate_inp.weight", &[64, 8]);
        f16(e, "blk.0.ffn_up_exps.weight", &[64, 32, 8]);
        f16(e, "blk.0.ffn_gate_up_exps.weight", &[64, 32, 8]);
        f16(e, "blk.0.ffn_down_exps.bias", &[64, 8]);
        f16(e, "blk.0.ffn_up_shexp.weight", &[64, 32]);
        // Not by experts, whatever its name says.
        f16(e, "blk.0.ffn_odd_exps.weight", &[64, 3]);
    })
    .facts();
    let expert = 64 * 32;
    let active = 64 + 6400 + 512 + 2 * 2 * expert + 2 * 64 + expert + 192;
    assert_eq!(facts.active_parameters, active);
    assert_eq!(facts.bytes_per_token, 2 * active);
    assert_eq!((facts.experts, facts.experts_used), (Some(8), Some(2)));
}

#[test]
fn drafting_layers_are_not_read_and_store_nothing() {
    let facts = header(|e| {
        attention(e);
        e.u32("a.nextn_predict_layers", 1);
        f16(e, "token_embd.weight", &[64, 100]);
        f16(e, "blk.0.attn_q.weight", &[64, 64]);
        f16(e, "blk.1.attn_q.weight", &[64, 64]);
    })
    .facts();
    assert_eq!(facts.parameters, 6400 + 2 * 4096);
    assert_eq!(facts.active_parameters, 6400 + 4096);
    assert_eq!(facts.kv_bytes_per_position, Some(128));
}

fn kv(build: impl Fn(&mut Encoder)) -> Option<u64> {
    header(build).facts().kv_bytes_per_position
}

#[test]
fn kv_bytes_follow_the_layers() {
    // Heads per layer: a layer of zero heads stores nothing.
    let per_layer = kv(|e| {
        e.u32("a.block_count", 3);
        e.u32("a.embedding_length", 64);
        e.u32("a.attention.head_count", 4);
        e.i32s("a.attention.head_count_kv", &[2, 0, 4]);
        e.u32("a.ssm.state_size", 16);
    });
    assert_eq!(per_layer, Some((2 + 4) * 32 * 2));
    // Explicit lengths.
    let lengths = kv(|e| {
        attention(e);
        e.u32("a.attention.key_length", 40);
        e.u32("a.attention.value_length", 24);
    });
    assert_eq!(lengths, Some(2 * 2 * 64 * 2));
    // No heads for keys and values: as many as for queries.
    let without = kv(|e| {
        e.u32("a.block_count", 1);
        e.u32("a.embedding_length", 64);
        e.u32("a.attention.head_count", 4);
    });
    assert_eq!(without, Some(4 * 32 * 2));
}

#[test]
fn latent_attention_stores_keys_only() {
    let latent = kv(|e| {
        e.u32("a.block_count", 2);
        e.u32("a.embedding_length", 64);
        e.u32("a.attention.head_count", 16);
        e.u32("a.attention.head_count_kv", 1);
        e.u32("a.attention.kv_lora_rank", 512);
        e.u32("a.attention.key_length", 576);
        e.u32("a.attention.value_length", 512);
        e.u32("a.attention.key_length_mla", 192);
        e.u32("a.attention.value_length_mla", 128);
    });
    assert_eq!(latent, Some(2 * 576 * 2));
}

#[test]
fn recurrent_layers_store_nothing() {
    let interval = kv(|e| {
        attention(e);
        e.u32("a.full_attention_interval", 2);
        e.u32("a.ssm.state_size", 16);
    });
    assert_eq!(interval, Some(128));
    let flags = kv(|e| {
        attention(e);
        e.i32s("a.attention.recurrent_layers", &[1, 1]);
    });
    assert_eq!(flags, Some(0));
    // A state, and not a word on where.
    let unknown = kv(|e| {
        attention(e);
        e.u32("a.ssm.state_size", 16);
    });
    assert_eq!(unknown, None);
}

#[test]
fn windowed_layers_may_have_lengths_of_their_own() {
    let build = |e: &mut Encoder| {
        attention(e);
        e.u32("a.attention.key_length", 32);
        e.u32("a.attention.value_length", 32);
        e.u32("a.attention.key_length_swa", 8);
        e.u32("a.attention.value_length_swa", 8);
    };
    let flags = kv(|e| {
        build(e);
        let pattern = [7, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1, 0];
        e.raw("a.attention.sliding_window_pattern", ValueType::Array, &pattern);
    });
    assert_eq!(flags, Some(2 * 16 * 2 + 2 * 64 * 2));
    assert_eq!(kv(build), None);
}

#[test]
fn what_a_header_leaves_open_is_not_made_up() {
    let facts = header(|_| {}).facts();
    assert_eq!((facts.kv_bytes_per_position, facts.layers, facts.vocabulary), (None, None, None));
    assert_eq!((facts.parameters, facts.bits_per_weight), (0, 0.0));
    assert_eq!(facts.file_type, None);
    assert_eq!(facts_of_shards(&[]).architecture, "unknown");
    let odd = header(|e| {
        e.u32("a.block_count", u32::MAX);
        e.u32("a.attention.head_count", 0);
        e.u32("general.file_type", 999);
    });
    assert_eq!(odd.facts().kv_bytes_per_position, None);
    assert_eq!(odd.facts().file_type, None);
}

#[test]
fn unknown_types_count_as_parameters_only() {
    let facts = header(|e| {
        f16(e, "token_embd.weight", &[64, 100]);
        e.tensor("blk.0.attn_q.weight", &[64, 64], TensorType(57), 0);
    })
    .facts();
    assert_eq!((facts.parameters, facts.tensor_bytes, facts.bits_per_weight), (10_496, 12_800, 16.0));
    assert_eq!(facts.bytes_by_type.get("type 57 (bytes unknown)"), Some(&0));
}

#[test]
fn shards_add_up() {
    let first = header(|e| {
        attention(e);
        e.raw("split.count", ValueType::U16, &[2, 0]);
        f16(e, "token_embd.weight", &[64, 100]);
    });
    let second = header(|e| f16(e, "output.weight", &[64, 100]));
    let facts = facts_of_shards(&[first, second]);
    assert_eq!((facts.parameters, facts.shards), (12_800, 2));
    // The output matrix is in the other file: the embeddings are not tied.
    assert_eq!(facts.active_parameters, 64 + 6400);
}

#[test]
fn guessed_file_types_have_the_same_name() {
    assert_eq!(file_type::name(1024 + 15), Some("Q4_K_M"));
    assert_eq!(file_type::name(4), None);
}
