// The complete Json type, for sources that build or read values.
#pragma once

#include <nlohmann/json.hpp>

#include "base/json.h"
