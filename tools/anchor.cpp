#include "tools/offload.hpp"
