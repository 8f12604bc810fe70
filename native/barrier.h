// What it costs to spread work, for benchmarks.
#pragma once
#include "team.h"

namespace seqgrad {

/// The nanoseconds of a fork and join at which every lane of the team is present, the best of many in a row.
double barrierNanoseconds(Team& team, double milliseconds);

}  // namespace seqgrad
