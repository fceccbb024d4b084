// strongSwan's words for algorithms and the IANA transforms that they stand for: one table for
// parsing proposals, for naming what was negotiated, and for naming what a peer offered that we do
// not support.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "wire/ike/message.hpp"

namespace espalier::policy {

enum class WordUse : std::uint8_t {
  kSupported,    // the word this version prints
  kSynonym,      // understood, printed as the supported word with the same transform
  kUnsupported,  // a word of strongSwan's that this version cannot honour
};

struct AlgorithmWord {
  std::string_view word;
  wire::ike::TransformType type = wire::ike::TransformType::kEncr;
  std::uint16_t id = 0;        // IANA "IKEv2 Transform" number; 0 for a word without one
  std::uint16_t key_bits = 0;  // Key Length attribute; 0: none
  bool aead = false;
  WordUse use = WordUse::kSupported;
  bool kernel_only = false;  // for ESP by the kernel's dataplane, and for nothing else
};

std::span<const AlgorithmWord> algorithm_words();

// The row of a word; nothing when it is no word of strongSwan's at all.
std::optional<AlgorithmWord> find_word(std::string_view word);

// The word for a transform: a supported one if there is, else strongSwan's, else "encr-1234" or
// "type9-3": never empty.
std::string word_for(const wire::ike::Transform& transform);

// The supported words of one type, without the kernel's own, in the table's order, joined by a
// space: for "this version knows
// ...".
std::string supported_words(wire::ike::TransformType type);

}  // namespace espalier::policy
