package datum

import (
	"strconv"
	"strings"
)

// zoneAbbreviations are those of PostgreSQL's default list that stand for one offset, in seconds
// east of UTC; those that a zone has had several of are in movingAbbreviations.
var zoneAbbreviations = func() map[string]int64 { //nolint:gochecknoglobals // never changed
	out := map[string]int64{}
	for group := range strings.SplitSeq(`
		-36000 hst taht
		-34200 mart
		-32400 akst gamt
		-28800 akdt pst
		-25200 mst pdt
		-21600 cst galt mdt
		-18000 act cdt cot est pet
		-14400 amt ast bot edt
		-12600 nft nst
		-10800 adt bra brt clst gft pmst pyst uyt wgt
		-9000 ndt
		-7200 brst fnt pmdt uyst wgst
		-3600 azot egt fnst
		0 azost egst gmt uct ut utc wet z zulu
		3600 bst cet met mez wat wetdst
		7200 bdst cest cetdst eet ist mest mesz metdst sast
		10800 eat eest eetdst fet idt
		12600 irt
		14400 msd mut ret sct
		16200 aft
		18000 must mvt pkt tft tjt uzt
		20700 npt
		21600 almt bdt btt kgst pkst uzst xjt yekst
		23400 mmt
		25200 almst cxt ict wast
		28800 awst bnt bort cct hkt myt pht wadt
		31500 acwst
		32400 awsst jayt jst kst pwt ulast wdt
		34200 acst cast
		36000 aest chut ddut kdt ligt mpt pgt trut yapt
		37800 acdt acsst cadt lhst sadt
		39600 aedt aesst pont vut
		43200 fjt gilt mht nzst nzt tvt wakt wft
		45900 chast
		46800 fjst nzdt tot
		49500 chadt`, "\n") {
		words := strings.Fields(group)
		for i, word := range words {
			if i > 0 {
				out[word], _ = strconv.ParseInt(words[0], 10, 64)
			}
		}
	}
	return out
}()

const movingAbbreviations = " amst anast anat arst art azst azt ckt clt davt easst east fkst fkt gest get gyt iot irkst irkt kgt kost krast krat lhdt lint lkt magst magt mawt msk novst novt nut omsst omst petst pett pyt sgt tkt tmt ulat vet vlast vlat volt yakst yakt yekt "
