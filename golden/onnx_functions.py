"""What the nodes of an exported network compute: ONNX local functions made of standard operators,
in ONNX's textual syntax. Integers are int64 unless said otherwise.

onnxruntime 1.31 does some integer operators wrongly; they must be kept from large numbers. Its
int64 Clip, Min, Max and ReduceMax compare the lower halves of two numbers with equal upper halves
as signed ones: right below 2**31. Its int64 ReduceSum goes through float64: right below 2**53.
"""

from onnx import FunctionProto, parser

DOMAIN = "adderforge"
OPSET = 18
HEADER = '<domain: "{domain}", opset_import: ["": {opset}, "{domain}": 1], doc_string: "{text}">\n'
TEXTS = {
    "floor(value / divisor + 1/2); divisor: a power of two. Mod's rest has the divisor's sign, so "
    "that Div, which truncates, finds nothing to truncate": """
        RoundHalfUp (value, divisor) => (rounded) {
            two = Constant<value_int=2>()
            half = Div(divisor, two)
            raised = Add(value, half)
            rest = Mod(raised, divisor)
            whole = Sub(raised, rest)
            rounded = Div(whole, divisor)
        }""",
    "clamp(floor(image / scale + 1/2) + zero, 0, highest), made in float64": """
        Encode (image, scale, zero, highest) => (codes) {
            real = Cast<to=11>(image)
            steps = Div(real, scale)
            half = Constant<value=double {0.5}>()
            raised = Add(steps, half)
            whole = Floor(raised)
            placed = Add(whole, zero)
            lowest = Constant<value=double {0.0}>()
            clamped = Clip(placed, lowest, highest)
            codes = Cast<to=7>(clamped)
        }""",
    "min(round_half_up(code / divisor), highest): codes without their dropped bits": """
        Read (codes, divisor, highest) => (operands) {
            rounded = adderforge.RoundHalfUp(codes, divisor)
            operands = Min(rounded, highest)
        }""",
    "1 where code >= zero, else -1": """
        Signs (codes, zero) => (operands) {
            positive = GreaterOrEqual(codes, zero)
            one = Constant<value_int=1>()
            minus = Constant<value_int=-1>()
            operands = Where(positive, one, minus)
        }""",
    "(N, C, kernel rows, rows, kernel columns, columns) of the map (N, C, H, W); rows, cols: where "
    "each window takes them": """
        Windows (codes, rows, cols) => (windows) {
            lines = Gather<axis=2>(codes, rows)
            windows = Gather<axis=4>(lines, cols)
        }""",
    "The map's matrix form: a row for each image and place, its window in it": """
        Unfold (codes, rows, cols) => (matrix) {
            windows = adderforge.Windows(codes, rows, cols)
            ordered = Transpose<perm=[0, 3, 5, 1, 2, 4]>(windows)
            matrix = Flatten<axis=3>(ordered)
        }""",
    "The map (N, filters, rows, columns) of a matrix with a row for each filter and a column for "
    "each image and place; shape: filters, -1, rows, columns": """
        Fold (matrix, shape) => (sums) {
            places = Reshape(matrix, shape)
            images = Transpose<perm=[1, 0, 2, 3]>(places)
            sums = Cast<to=7>(images)
        }""",
    "An adder layer's -sum |x - f|, made in the type of weight (filters, C, kernel rows, kernel "
    "columns)": """
        AdderConv (codes, weight, rows, cols, shape) => (sums) {
            operands = CastLike(codes, weight)
            matrix = adderforge.Unfold(operands, rows, cols)
            filters = Flatten<axis=1>(weight)
            sads = Scan<num_scan_inputs=1, body = one (filter) => (sad) {
                difference = Sub(matrix, filter)
                distance = Abs(difference)
                last = Constant<value_ints=[1]>()
                sad = ReduceSum<keepdims=0>(distance, last)
            }>(filters)
            negative = Neg(sads)
            sums = adderforge.Fold(negative, shape)
        }""",
    "A convolution's sum x f, made in the type of weight (filters, C, kernel rows, kernel "
    "columns)": """
        MacConv (codes, weight, rows, cols, shape) => (sums) {
            operands = CastLike(codes, weight)
            matrix = adderforge.Unfold(operands, rows, cols)
            filters = Flatten<axis=1>(weight)
            products = Gemm<transB=1>(filters, matrix)
            sums = adderforge.Fold(products, shape)
        }""",
    "(bias + sum) mult": """
        Scale (sums, bias, mult) => (total) {
            biased = Add(bias, sums)
            total = Mul(biased, mult)
        }""",
    "total + (code - zero) mult: adds a residual": """
        AddMap (total, codes, zero, mult) => (sum) {
            centered = Sub(codes, zero)
            weighed = Mul(centered, mult)
            sum = Add(total, weighed)
        }""",
    "clamp(round_half_up(total / divisor) + zero, 0, highest); clamped, and highest, in float64, "
    "which rounds only what is clamped": """
        Store (total, divisor, zero, highest) => (codes) {
            rounded = adderforge.RoundHalfUp(total, divisor)
            placed = Add(rounded, zero)
            real = Cast<to=11>(placed)
            lowest = Constant<value=double {0.0}>()
            clamped = Clip(real, lowest, highest)
            codes = Cast<to=7>(clamped)
        }""",
    "The largest code of each window": """
        MaxPool (codes, rows, cols) => (pooled) {
            windows = adderforge.Windows(codes, rows, cols)
            kernel = Constant<value_ints=[2, 4]>()
            pooled = ReduceMax<keepdims=0>(windows, kernel)
        }""",
    "round_half_up(sum (code - zero) / divisor) + zero of each window": """
        MeanPool (codes, rows, cols, zero, divisor) => (pooled) {
            centered = Sub(codes, zero)
            windows = adderforge.Windows(centered, rows, cols)
            kernel = Constant<value_ints=[2, 4]>()
            total = ReduceSum<keepdims=0>(windows, kernel)
            mean = adderforge.RoundHalfUp(total, divisor)
            pooled = Add(mean, zero)
        }""",
}


def functions() -> list[FunctionProto]:
    """Every function, those first that others call."""
    return [
        parser.parse_function(HEADER.format(domain=DOMAIN, opset=OPSET, text=text) + body)
        for text, body in TEXTS.items()
    ]
