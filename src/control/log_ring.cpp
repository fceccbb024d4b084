#include "control/log_ring.hpp"

#include "base/assert.hpp"
#include "control/limits.hpp"

namespace espalier::control {

void LogRing::add(LogRecord record) {
  if (record.text.size() > kMaxLogText) {
    record.text.resize(kMaxLogText);
    record.text += " [...]";
  }
  records_.push_back(std::move(record));
  ++next_;
  if (records_.size() > capacity_) records_.pop_front();
}

const LogRecord& LogRing::at(std::uint64_t number) const {
  ASSERT(number >= first() && number < next_);
  return records_[static_cast<std::size_t>(number - first())];
}

}  // namespace espalier::control
