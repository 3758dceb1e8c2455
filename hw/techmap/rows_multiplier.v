// Yosys technology map: a signed product as one row of adders for each bit of B, on carry chains:
// A · B = Σ_{j < n-1} A · B[j] · 2**j − A · B[n-1] · 2**(n-1). Row j adds at bit j and leaves its
// lowest bit as the product's bit j. A product is taken only if it is signed, has no more bits than
// A and B together, and B has at least two.

(* techmap_celltype = "$mul" *)
module rows_multiplier (A, B, Y);
  parameter A_SIGNED = 0;
  parameter B_SIGNED = 0;
  parameter A_WIDTH = 1;
  parameter B_WIDTH = 1;
  parameter Y_WIDTH = 1;
  localparam ROW = A_WIDTH + 1;

  (* force_downto *) input [A_WIDTH-1:0] A;
  (* force_downto *) input [B_WIDTH-1:0] B;
  (* force_downto *) output [Y_WIDTH-1:0] Y;

  wire _TECHMAP_FAIL_ = !(A_SIGNED && B_SIGNED && B_WIDTH > 1 && Y_WIDTH <= A_WIDTH + B_WIDTH);
  wire [ROW-1:0] extended = {A[A_WIDTH-1], A};
  wire [ROW*B_WIDTH-1:0] sums;
  wire [A_WIDTH+B_WIDTH-1:0] product;

  assign sums[0 +: ROW] = extended & {ROW{B[0]}};
  genvar j;
  generate
    for (j = 1; j < B_WIDTH; j = j + 1) begin : row
      wire [ROW-1:0] x, co;
      \$alu #(
        .A_SIGNED(0), .B_SIGNED(0), .A_WIDTH(ROW), .B_WIDTH(ROW), .Y_WIDTH(ROW)
      ) add (
        .A({sums[ROW*j-1], sums[ROW*(j-1)+1 +: ROW-1]}),
        .B(extended & {ROW{B[j]}}),
        .CI(j == B_WIDTH - 1),
        .BI(j == B_WIDTH - 1),
        .Y(sums[ROW*j +: ROW]),
        .X(x),
        .CO(co)
      );
    end
    for (j = 0; j < B_WIDTH; j = j + 1) begin : low
      assign product[j] = sums[ROW*j];
    end
  endgenerate
  assign product[A_WIDTH+B_WIDTH-1:B_WIDTH] = sums[ROW*(B_WIDTH-1)+1 +: A_WIDTH];
  assign Y = product;
endmodule
