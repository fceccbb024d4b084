#include "policy/algorithm_words.hpp"

#include <algorithm>
#include <array>

namespace espalier::policy {
namespace {

using wire::ike::TransformType;

constexpr TransformType kE = TransformType::kEncr;
constexpr TransformType kP = TransformType::kPrf;
constexpr TransformType kI = TransformType::kInteg;
constexpr TransformType kD = TransformType::kDh;
constexpr TransformType kN = TransformType::kEsn;
constexpr WordUse kYes = WordUse::kSupported;
constexpr WordUse kSame = WordUse::kSynonym;
constexpr WordUse kNot = WordUse::kUnsupported;
constexpr bool kKernel = true;

// word, type, IANA number, key bits, AEAD, use. The numbers are those of the registry "Internet Key
// Exchange Version 2 (IKEv2) Parameters"; RFC 8221 and RFC 8247 say which are still fit for use.
// 3DES, MD5 and groups below 2048 bits are left out for their weakness, the others because nobody
// built them yet. The kernel's own, NULL encryption and GMAC among them, which encrypt nothing, are
// taken where somebody names them.
// clang-format off
constexpr auto kWords = std::to_array<AlgorithmWord>({
  {"aes128", kE, 12, 128, false, kYes},
  {"aes192", kE, 12, 192, false, kYes},
  {"aes256", kE, 12, 256, false, kYes},
  {"aes", kE, 12, 128, false, kSame},
  {"aes128gcm16", kE, 20, 128, true, kYes},
  {"aes192gcm16", kE, 20, 192, true, kYes},
  {"aes256gcm16", kE, 20, 256, true, kYes},
  {"aes128gcm128", kE, 20, 128, true, kSame},
  {"aes128gcm", kE, 20, 128, true, kSame},
  {"aes192gcm128", kE, 20, 192, true, kSame},
  {"aes192gcm", kE, 20, 192, true, kSame},
  {"aes256gcm128", kE, 20, 256, true, kSame},
  {"aes256gcm", kE, 20, 256, true, kSame},
  {"chacha20poly1305", kE, 28, 0, true, kYes},
  {"sha1", kI, 2, 0, false, kYes},
  {"sha", kI, 2, 0, false, kSame},
  {"sha256", kI, 12, 0, false, kYes},
  {"sha2_256", kI, 12, 0, false, kSame},
  {"sha384", kI, 13, 0, false, kYes},
  {"sha2_384", kI, 13, 0, false, kSame},
  {"sha512", kI, 14, 0, false, kYes},
  {"sha2_512", kI, 14, 0, false, kSame},
  {"prfsha1", kP, 2, 0, false, kYes},
  {"prfsha256", kP, 5, 0, false, kYes},
  {"prfsha2_256", kP, 5, 0, false, kSame},
  {"prfsha384", kP, 6, 0, false, kYes},
  {"prfsha2_384", kP, 6, 0, false, kSame},
  {"prfsha512", kP, 7, 0, false, kYes},
  {"prfsha2_512", kP, 7, 0, false, kSame},
  {"x25519", kD, 31, 0, false, kYes},
  {"curve25519", kD, 31, 0, false, kSame},
  {"x448", kD, 32, 0, false, kYes},
  {"curve448", kD, 32, 0, false, kSame},
  {"ecp256", kD, 19, 0, false, kYes},
  {"ecp384", kD, 20, 0, false, kYes},
  {"ecp521", kD, 21, 0, false, kYes},
  {"ecp256bp", kD, 28, 0, false, kYes},
  {"ecp384bp", kD, 29, 0, false, kYes},
  {"ecp512bp", kD, 30, 0, false, kYes},
  {"modp2048", kD, 14, 0, false, kYes},
  {"modp3072", kD, 15, 0, false, kYes},
  {"modp4096", kD, 16, 0, false, kYes},
  {"modp6144", kD, 17, 0, false, kYes},
  {"modp8192", kD, 18, 0, false, kYes},
  {"mlkem512", kD, 35, 0, false, kYes},
  {"mlkem768", kD, 36, 0, false, kYes},
  {"mlkem1024", kD, 37, 0, false, kYes},
  {"modpnone", kD, 0, 0, false, kYes},
  {"none", kD, 0, 0, false, kSame},
  {"esn", kN, 1, 0, false, kYes},
  {"noesn", kN, 0, 0, false, kYes},
  {"null", kE, 11, 0, false, kYes, kKernel},
  {"aes128ctr", kE, 13, 128, false, kYes, kKernel},
  {"aes192ctr", kE, 13, 192, false, kYes, kKernel},
  {"aes256ctr", kE, 13, 256, false, kYes, kKernel},
  {"aes128ccm8", kE, 14, 128, true, kYes, kKernel},
  {"aes192ccm8", kE, 14, 192, true, kYes, kKernel},
  {"aes256ccm8", kE, 14, 256, true, kYes, kKernel},
  {"aes128ccm12", kE, 15, 128, true, kYes, kKernel},
  {"aes192ccm12", kE, 15, 192, true, kYes, kKernel},
  {"aes256ccm12", kE, 15, 256, true, kYes, kKernel},
  {"aes128ccm16", kE, 16, 128, true, kYes, kKernel},
  {"aes192ccm16", kE, 16, 192, true, kYes, kKernel},
  {"aes256ccm16", kE, 16, 256, true, kYes, kKernel},
  {"aes128gcm8", kE, 18, 128, true, kYes, kKernel},
  {"aes192gcm8", kE, 18, 192, true, kYes, kKernel},
  {"aes256gcm8", kE, 18, 256, true, kYes, kKernel},
  {"aes128gcm12", kE, 19, 128, true, kYes, kKernel},
  {"aes192gcm12", kE, 19, 192, true, kYes, kKernel},
  {"aes256gcm12", kE, 19, 256, true, kYes, kKernel},
  {"aes128gmac", kE, 21, 128, true, kYes, kKernel},
  {"aes192gmac", kE, 21, 192, true, kYes, kKernel},
  {"aes256gmac", kE, 21, 256, true, kYes, kKernel},
  {"aes128ccm64", kE, 14, 128, true, kSame, kKernel},
  {"aes192ccm64", kE, 14, 192, true, kSame, kKernel},
  {"aes256ccm64", kE, 14, 256, true, kSame, kKernel},
  {"aes128ccm96", kE, 15, 128, true, kSame, kKernel},
  {"aes192ccm96", kE, 15, 192, true, kSame, kKernel},
  {"aes256ccm96", kE, 15, 256, true, kSame, kKernel},
  {"aes128ccm128", kE, 16, 128, true, kSame, kKernel},
  {"aes192ccm128", kE, 16, 192, true, kSame, kKernel},
  {"aes256ccm128", kE, 16, 256, true, kSame, kKernel},
  {"aes128ccm", kE, 16, 128, true, kSame, kKernel},
  {"aes192ccm", kE, 16, 192, true, kSame, kKernel},
  {"aes256ccm", kE, 16, 256, true, kSame, kKernel},
  {"aes128gcm64", kE, 18, 128, true, kSame, kKernel},
  {"aes192gcm64", kE, 18, 192, true, kSame, kKernel},
  {"aes256gcm64", kE, 18, 256, true, kSame, kKernel},
  {"aes128gcm96", kE, 19, 128, true, kSame, kKernel},
  {"aes192gcm96", kE, 19, 192, true, kSame, kKernel},
  {"aes256gcm96", kE, 19, 256, true, kSame, kKernel},
  {"des", kE, 2, 0, false, kNot},
  {"3des", kE, 3, 0, false, kNot},
  {"cast128", kE, 6, 128, false, kNot},
  {"blowfish", kE, 7, 128, false, kNot},
  {"blowfish128", kE, 7, 128, false, kNot},
  {"blowfish192", kE, 7, 192, false, kNot},
  {"blowfish256", kE, 7, 256, false, kNot},
  {"camellia", kE, 23, 128, false, kNot},
  {"camellia128", kE, 23, 128, false, kNot},
  {"camellia192", kE, 23, 192, false, kNot},
  {"camellia256", kE, 23, 256, false, kNot},
  {"camellia128ctr", kE, 24, 128, false, kNot},
  {"camellia192ctr", kE, 24, 192, false, kNot},
  {"camellia256ctr", kE, 24, 256, false, kNot},
  {"camellia128ccm8", kE, 25, 128, true, kNot},
  {"camellia128ccm64", kE, 25, 128, true, kNot},
  {"camellia192ccm8", kE, 25, 192, true, kNot},
  {"camellia192ccm64", kE, 25, 192, true, kNot},
  {"camellia256ccm8", kE, 25, 256, true, kNot},
  {"camellia256ccm64", kE, 25, 256, true, kNot},
  {"camellia128ccm12", kE, 26, 128, true, kNot},
  {"camellia128ccm96", kE, 26, 128, true, kNot},
  {"camellia192ccm12", kE, 26, 192, true, kNot},
  {"camellia192ccm96", kE, 26, 192, true, kNot},
  {"camellia256ccm12", kE, 26, 256, true, kNot},
  {"camellia256ccm96", kE, 26, 256, true, kNot},
  {"camellia128ccm16", kE, 27, 128, true, kNot},
  {"camellia128ccm128", kE, 27, 128, true, kNot},
  {"camellia192ccm16", kE, 27, 192, true, kNot},
  {"camellia192ccm128", kE, 27, 192, true, kNot},
  {"camellia256ccm16", kE, 27, 256, true, kNot},
  {"camellia256ccm128", kE, 27, 256, true, kNot},
  {"chacha20poly1305compat", kE, 28, 256, true, kNot},
  {"serpent", kE, 0, 0, false, kNot},
  {"serpent128", kE, 0, 128, false, kNot},
  {"serpent192", kE, 0, 192, false, kNot},
  {"serpent256", kE, 0, 256, false, kNot},
  {"twofish", kE, 0, 0, false, kNot},
  {"twofish128", kE, 0, 128, false, kNot},
  {"twofish192", kE, 0, 192, false, kNot},
  {"twofish256", kE, 0, 256, false, kNot},
  {"md5", kI, 1, 0, false, kNot},
  {"aesxcbc", kI, 5, 0, false, kNot},
  {"md5_128", kI, 6, 0, false, kNot},
  {"sha1_160", kI, 7, 0, false, kNot},
  {"aescmac", kI, 8, 0, false, kNot},
  {"sha256_96", kI, 0, 0, false, kNot},
  {"sha2_256_96", kI, 0, 0, false, kNot},
  {"camelliaxcbc", kI, 0, 0, false, kNot},
  {"prfmd5", kP, 1, 0, false, kNot},
  {"prfaesxcbc", kP, 4, 0, false, kNot},
  {"prfaescmac", kP, 8, 0, false, kNot},
  {"prfcamelliaxcbc", kP, 0, 0, false, kNot},
  {"modp768", kD, 1, 0, false, kNot},
  {"modp1024", kD, 2, 0, false, kNot},
  {"modp1536", kD, 5, 0, false, kNot},
  {"modp1024s160", kD, 22, 0, false, kNot},
  {"modp2048s224", kD, 23, 0, false, kNot},
  {"modp2048s256", kD, 24, 0, false, kNot},
  {"ecp192", kD, 25, 0, false, kNot},
  {"ecp224", kD, 26, 0, false, kNot},
  {"ecp224bp", kD, 27, 0, false, kNot},
  {"modpnull", kD, 0, 0, false, kNot},
  {"ntru112", kD, 0, 0, false, kNot},
  {"ntru128", kD, 0, 0, false, kNot},
  {"ntru192", kD, 0, 0, false, kNot},
  {"ntru256", kD, 0, 0, false, kNot},
  {"newhope128", kD, 0, 0, false, kNot},
});
// clang-format on

std::string_view type_word(TransformType type) {
  switch (type) {
    case TransformType::kEncr: return "encr";
    case TransformType::kPrf: return "prf";
    case TransformType::kInteg: return "integ";
    case TransformType::kDh: return "dh";
    case TransformType::kEsn: return "esn";
    default: return {};
  }
}

}  // namespace

std::span<const AlgorithmWord> algorithm_words() { return kWords; }

std::optional<AlgorithmWord> find_word(std::string_view word) {
  const auto found = std::find_if(kWords.begin(), kWords.end(),
                                  [&](const AlgorithmWord& row) { return row.word == word; });
  if (found != kWords.end()) return *found;
  // RFC 9370: "ke1_mlkem768" and its like, additional key exchanges.
  if (word.size() > 4 && word.substr(0, 2) == "ke" && word[2] >= '1' && word[2] <= '7' &&
      word[3] == '_') {
    std::optional<AlgorithmWord> method = find_word(word.substr(4));
    if (!method || method->type != kD) return std::nullopt;
    method->word = word;
    method->type = static_cast<TransformType>(static_cast<unsigned>(TransformType::kAddKe1) +
                                              static_cast<unsigned>(word[2] - '1'));
    return method;
  }
  return std::nullopt;
}

std::string word_for(const wire::ike::Transform& transform) {
  if (wire::ike::is_additional_ke(transform.type)) {
    const auto slot =
        static_cast<unsigned>(transform.type) - static_cast<unsigned>(TransformType::kAddKe1) + 1;
    const std::string method =
        transform.id == 0
            ? "none"
            : word_for({kD, transform.id, transform.key_bits, transform.unknown_attribute});
    return "ke" + std::to_string(slot) + "_" + method;
  }
  // The table lists supported words first, so that the first hit is the word to print.
  const auto found = std::find_if(kWords.begin(), kWords.end(), [&](const AlgorithmWord& row) {
    const bool numbered = row.id != 0 || row.use == WordUse::kSupported;
    return numbered && row.type == transform.type && row.id == transform.id &&
           row.key_bits == transform.key_bits;
  });
  if (found != kWords.end()) return std::string(found->word);
  if (transform.type == TransformType::kInteg && transform.id == 0) return "integnone";
  const std::string_view type = type_word(transform.type);
  std::string text = type.empty() ? "type" + std::to_string(static_cast<unsigned>(transform.type))
                                  : std::string(type);
  text += "-" + std::to_string(transform.id);
  if (transform.key_bits != 0) text += "/" + std::to_string(transform.key_bits);
  return text;
}

std::string supported_words(TransformType type) {
  std::string text;
  for (const AlgorithmWord& row : kWords) {
    if (row.type != type || row.use != WordUse::kSupported || row.kernel_only) continue;
    if (!text.empty()) text += ' ';
    text += row.word;
  }
  return text;
}

}  // namespace espalier::policy
