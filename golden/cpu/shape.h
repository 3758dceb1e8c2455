// Sizes of a layer.

#pragma once

#include <cstdint>

namespace {

using Index = std::int64_t;

// golden/kernels.py holds its twin: same names, same order.
struct Shape {
  Index images, channels, height, width;
  Index filters, kernel_rows, kernel_cols;
  Index stride_rows, stride_cols, padding_rows, padding_cols, dilation_rows, dilation_cols;
  Index groups, map_rows, map_cols;

  Index group_channels() const { return channels / groups; }
  Index group_filters() const { return filters / groups; }
  Index taps() const { return kernel_rows * kernel_cols; }
  Index group_terms() const { return group_channels() * taps(); }
  Index span_rows() const { return (kernel_rows - 1) * dilation_rows + 1; }
};

}  // namespace
