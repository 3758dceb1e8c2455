// Shares a layer out into strips of rows.

#pragma once

#include <algorithm>
#include <vector>

#include "packing.h"

namespace {

// LANES images, one group of channels, some rows.
struct Item {
  Index first_image, images, group, first_row, rows;
};

// Items for all images, groups and `rows` rows; a row takes about `row_bytes` when packed. Few
// images on many threads make for smaller strips.
std::vector<Item> share_out(const Shape& shape, Index rows, Index row_bytes, Index threads) {
  const Index blocks = (shape.images + LANES - 1) / LANES * shape.groups;
  const Index wanted_strips = (2 * threads + blocks - 1) / std::max<Index>(blocks, 1);
  const Index fitting_rows = std::max<Index>(1, STRIP / std::max<Index>(1, row_bytes));
  const Index height = std::clamp<Index>(rows / std::max<Index>(wanted_strips, 1), 1, fitting_rows);
  std::vector<Item> items;
  for (Index image = 0; image < shape.images; image += LANES)
    for (Index group = 0; group < shape.groups; ++group)
      for (Index row = 0; row < rows; row += height)
        items.push_back({image, std::min<Index>(LANES, shape.images - image), group, row,
                         std::min(height, rows - row)});
  return items;
}

// The item's images and group of a map of `channels` channels, and rows first … first + rows - 1.
template <typename Float>
Rows<Float> rows_of(const Item& item, Float* map, Index channels, Index groups, Index height,
                    Index width, Index first, Index rows) {
  const Index area = height * width, group_channels = channels / groups;
  Float* data = map + (item.first_image * channels + item.group * group_channels) * area;
  return {data + first * width, item.images, channels * area, group_channels, area, rows, width};
}

// Blocks of at most TILE of `count` filters or channels: use(first, size).
template <typename Use>
void for_blocks(Index count, Use use) {
  for (Index first = 0; first < count; first += TILE) use(first, std::min<Index>(TILE, count - first));
}

// The part of the padded input that the item's output rows look at.
struct Padded {
  Index rows, cols, top;   // sizes; the first row's place in the input, negative in the padding
  Index first, last;       // rows top … that lie in the input: first … last - 1

  Padded(const Shape& shape, const Item& item)
      : rows((item.rows - 1) * shape.stride_rows + shape.span_rows()),
        cols(shape.width + 2 * shape.padding_cols),
        top(item.first_row * shape.stride_rows - shape.padding_rows),
        first(std::max<Index>(top, 0)),
        last(std::min(top + rows, shape.height)) {}

  // strip: of zeros, as (channel, row, column); channels first_channel … of the item's group.
  void pack_into(Vector* strip, const Shape& shape, const Item& item, const float* input,
                 Index first_channel, Index channels) const {
    if (first >= last) return;
    auto part = rows_of(item, input, shape.channels, shape.groups, shape.height, shape.width, first,
                        last - first);
    part.data += first_channel * part.channel_step;
    part.channels = channels;
    pack(part, strip + (first_channel * rows + first - top) * cols + shape.padding_cols,
         {rows * cols, cols, 1});
  }

  // Distance of each term's pixel from the window's first.
  std::vector<Index> offsets(const Shape& shape) const {
    std::vector<Index> result;
    for (Index channel = 0; channel < shape.group_channels(); ++channel)
      for (Index row = 0; row < shape.kernel_rows; ++row)
        for (Index col = 0; col < shape.kernel_cols; ++col)
          result.push_back((channel * rows + row * shape.dilation_rows) * cols +
                           col * shape.dilation_cols);
    return result;
  }
};

}  // namespace
