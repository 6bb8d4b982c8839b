#include "worker/client/http.hpp"
