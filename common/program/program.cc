#include "common/program/program.h"
