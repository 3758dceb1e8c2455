// Between maps in memory, (images, channels, height, width), and vectors of the same pixel of LANES
// images.

#pragma once

#include <algorithm>
#include <cstring>

#include "vectors.h"

namespace {

inline void transpose(Vector (&tile)[LANES]) {
  Indices low, high;  // a0 b0 a1 b1 … from the lower halves of a and b, and from the upper
  for (int lane = 0; lane < LANES; ++lane) {
    low[lane] = lane / 2 + lane % 2 * LANES;
    high[lane] = low[lane] + LANES / 2;
  }
  for (int step = 1; step < LANES; step *= 2) {
    Vector mixed[LANES];
    for (int i = 0; i < LANES / 2; ++i) {
      mixed[2 * i] = __builtin_shuffle(tile[i], tile[i + LANES / 2], low);
      mixed[2 * i + 1] = __builtin_shuffle(tile[i], tile[i + LANES / 2], high);
    }
    std::copy(mixed, mixed + LANES, tile);
  }
}

// Some rows of some channels of at most LANES images; `data` is the first image's first row.
template <typename Float>
struct Rows {
  Float* data;
  Index images, image_step, channels, channel_step, rows, cols;
};

// Where the packed vectors of a Rows go: distances between neighbors, in vectors.
struct Layout {
  Index channel, row, col;
};

// Walks over packed vectors in the order of memory outside: channel, row, column.
class Walk {
 public:
  Walk(Vector* start, Layout layout, Index rows, Index cols)
      : layout(layout), rows(rows), cols(cols), channel_at(start), row_at(start), at(start) {}

  Vector& next() {
    Vector& here = *at;
    at += layout.col;
    if (++col == cols) {
      col = 0;
      row_at += layout.row;
      if (++row == rows) {
        row = 0;
        row_at = channel_at += layout.channel;
      }
      at = row_at;
    }
    return here;
  }

 private:
  Layout layout;
  Index rows, cols, row = 0, col = 0;
  Vector *channel_at, *row_at, *at;
};

// Calls move(offset, count) for each stretch of at most LANES pixels that are neighbors in memory.
template <typename Float, typename Move>
void for_stretches(const Rows<Float>& part, Move move) {
  Index length = part.rows * part.cols, stretches = part.channels;
  if (length == part.channel_step) {  // whole channels follow each other without a gap
    length *= stretches;
    stretches = 1;
  }
  for (Index stretch = 0; stretch < stretches; ++stretch)
    for (Index start = 0; start < length; start += LANES)
      move(stretch * part.channel_step + start, std::min<Index>(LANES, length - start));
}

void pack(const Rows<const float>& from, Vector* to, Layout layout) {
  Walk walk(to, layout, from.rows, from.cols);
  for_stretches(from, [&](Index offset, Index count) {
    Vector tile[LANES] = {};
    for (Index image = 0; image < from.images; ++image) {
      const float* pixels = from.data + image * from.image_step + offset;
      if (count == LANES)
        std::memcpy(&tile[image], pixels, sizeof(Vector));
      else
        std::memcpy(&tile[image], pixels, count * sizeof(float));
    }
    transpose(tile);
    for (Index pixel = 0; pixel < count; ++pixel) walk.next() = tile[pixel];
  });
}

void unpack(Vector* from, Layout layout, const Rows<float>& to) {
  Walk walk(from, layout, to.rows, to.cols);
  for_stretches(to, [&](Index offset, Index count) {
    Vector tile[LANES] = {};
    for (Index pixel = 0; pixel < count; ++pixel) tile[pixel] = walk.next();
    transpose(tile);
    for (Index image = 0; image < to.images; ++image) {
      float* pixels = to.data + image * to.image_step + offset;
      if (count == LANES)
        std::memcpy(pixels, &tile[image], sizeof(Vector));
      else
        std::memcpy(pixels, &tile[image], count * sizeof(float));
    }
  });
}

}  // namespace
