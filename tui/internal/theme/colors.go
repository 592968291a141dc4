package theme

// The status colours were found by a search: the closest pair differs by delta-E
// 28 or more for normal, protan, deutan and tritan sight, and contrast is at
// least 4.6 on black and #282c34 (dark), on white and #fdf6e3 (light).

// Black and white of text on colour are 16 and 231, never 0 and 15: terminals
// draw bold 0 to 7 as 8 to 15.
var (
	black = color{"000000", 16, 0}
	white = color{"FFFFFF", 231, 15}
)

var darkColors = colors{
	ok: color{"83F9D6", 122, 14}, warn: color{"F8E712", 220, 11}, bad: color{"EB714D", 203, 9}, busy: color{"D76AFB", 171, 13}, info: color{"84A1BA", 110, 12},
	text: color{"E8EAED", 255, 15}, dim: color{"9AA0A6", 247, 7}, faint: color{"6B7178", 242, 8}, rule: color{"4B5157", 240, 8},
	selBack: color{"2A3F55", 24, 4}, selText: color{"FFFFFF", 231, 15}, on: black,
	fill: color{"7FB2D9", 110, 12}, track: color{"3A4046", 238, 8},
	// one hue, ever lighter: the order holds for every kind of sight, quiet cells
	// stay quiet, and yellow and red are left for trouble
	heat: [10]color{
		{"22303B", 236, 8}, {"213A4B", 238, 8}, {"1F4258", 23, 4}, {"20516D", 24, 4}, {"226183", 30, 4},
		{"28729A", 31, 6}, {"3585B0", 37, 6}, {"4C9AC4", 38, 14}, {"6FB3D6", 80, 14}, {"A3D3EA", 123, 15},
	},
	heatText: [10]color{white, white, white, white, white, white, black, black, black, black},
	owner: [12]color{
		{"7FB2D9", 110, 12}, {"C9A66B", 179, 3}, {"7FBF9E", 108, 2}, {"C08CB8", 139, 5}, {"D98C7F", 174, 9}, {"6FA8A8", 73, 6},
		{"B5B56B", 143, 11}, {"9C9CD9", 104, 13}, {"D9B3A0", 180, 7}, {"8FA67F", 107, 10}, {"A6A6A6", 248, 7}, {"D99CB5", 175, 14},
	},
	ownerText: black,
}

var lightColors = colors{
	ok: color{"1C786E", 29, 2}, warn: color{"936404", 94, 3}, bad: color{"5E0B00", 52, 1}, busy: color{"7E13AA", 91, 5}, info: color{"12335A", 17, 4},
	text: color{"1B1E22", 234, 0}, dim: color{"5A5F64", 241, 8}, faint: color{"85898E", 245, 7}, rule: color{"B9BEC4", 249, 7},
	selBack: color{"CFE3F7", 153, 6}, selText: color{"0B1B2B", 233, 0}, on: white,
	fill: color{"2171B5", 25, 4}, track: color{"D5D9DD", 253, 7},
	// white to navy: on a light ground, cividis would shout at quiet cells
	heat: [10]color{
		{"F7FBFF", 231, 15}, {"DEEBF7", 195, 15}, {"C6DBEF", 189, 7}, {"9ECAE1", 153, 7}, {"6BAED6", 117, 14},
		{"4292C6", 74, 6}, {"2171B5", 68, 6}, {"08519C", 25, 4}, {"08306B", 18, 4}, {"041F47", 17, 0},
	},
	heatText: [10]color{black, black, black, black, black, black, white, white, white, white},
	owner: [12]color{
		{"9EC5E8", 153, 12}, {"E8CC94", 223, 3}, {"A3D9BC", 151, 2}, {"DDB3D6", 182, 5}, {"EDB3A8", 217, 9}, {"94CCCC", 152, 6},
		{"D6D694", 187, 11}, {"BFBFED", 147, 13}, {"EDD2C4", 224, 7}, {"B5CCA6", 151, 10}, {"C8C8C8", 251, 7}, {"EDBFD0", 218, 14},
	},
	ownerText: black,
}

var fewColors = colors{
	ok: color{"", 2, 2}, warn: color{"", 3, 3}, bad: color{"", 9, 9}, busy: color{"", 5, 5}, info: color{"", 6, 6},
	text: color{"", 7, 7}, dim: color{"", 7, 7}, faint: color{"", 8, 8}, rule: color{"", 8, 8},
	selBack: color{"", 4, 4}, selText: color{"", 15, 15}, on: color{"", 0, 0},
	fill: color{"", 6, 6}, track: color{"", 8, 8},
	heat: [10]color{
		{"", 4, 4}, {"", 4, 4}, {"", 6, 6}, {"", 6, 6}, {"", 2, 2}, {"", 2, 2}, {"", 3, 3}, {"", 3, 3}, {"", 11, 11}, {"", 11, 11},
	},
	heatText: [10]color{{"", 15, 15}, {"", 15, 15}, {"", 0, 0}, {"", 0, 0}, {"", 0, 0}, {"", 0, 0}, {"", 0, 0}, {"", 0, 0}, {"", 0, 0}, {"", 0, 0}},
	owner: [12]color{
		{"", 6, 6}, {"", 3, 3}, {"", 2, 2}, {"", 5, 5}, {"", 9, 9}, {"", 14, 14}, {"", 11, 11}, {"", 13, 13}, {"", 7, 7}, {"", 10, 10}, {"", 12, 12}, {"", 1, 1},
	},
	ownerText: color{"", 0, 0},
}
