// X.501 names: DER to attributes and back, text to DER, and the form in which two names compare.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"

namespace espalier::policy {

struct NameAttribute {
  std::string type;  // "CN", "O", ...; dotted numbers for an attribute we have no word for
  std::string value;
  Bytes oid;              // content octets of the OBJECT IDENTIFIER
  std::uint8_t tag = 0;   // of the value: 0x13 PrintableString, 0x0c UTF8String, ...
  bool same_rdn = false;  // in one RDN with the attribute before it
};

// The attributes of a DER Name (RFC 5280 section 4.1.2.4) in order. Errors: kTruncated, kMalformed,
// kLimit.
Result<std::vector<NameAttribute>> parse_distinguished_name(ByteView der);

// "CN=host.example.net, O=Example, C=DE" to a DER Name with the RDNs in the order of the text, as
// strongSwan does. Values: PrintableString where the characters allow it, else UTF8String; DC and E
// are IA5String. "\," and "\\" and "\2c" stand for a character (RFC 4514 section 3), "/C=DE/CN=x"
// and dotted numbers as types are understood. Errors: kInvalidArgument with the reason as the end
// of a sentence.
Result<Bytes> distinguished_name(std::string_view text);

// Two names are the same when these are equal octets (RFC 5280 section 7.1): RDN by RDN, letters of
// either case, runs of spaces as one, and whatever string type a value was written in.
// Octets that are no name come back as they are.
Bytes canonical_name(ByteView der);

// For masks of attributes: bit i is set when attribute i of the name is exactly "*".
std::uint32_t wildcard_mask(ByteView der);
// The canonical name with "*" for the attributes of the mask; empty when it has fewer attributes.
Bytes masked_name(ByteView der, std::uint32_t mask);

}  // namespace espalier::policy
