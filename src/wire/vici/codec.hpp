// Inside wire/vici only: names on the wire, and the words of errors. Users include
// wire/vici/message.hpp.
#pragma once

#include "wire/vici/message.hpp"

namespace espalier::wire::vici {

// "VICI at offset 12: ..."
Error fault(ErrorCode code, std::size_t offset, std::string_view what);

// A length in one octet, and that many of printable ASCII.
Result<std::string> parse_name(Reader& reader, std::string_view what);
Status write_name(Writer& writer, std::string_view name);

}  // namespace espalier::wire::vici
