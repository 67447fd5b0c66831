"""The Chinese words of place: markers for what was found already, and patterns over a text so marked.

A name found in the text is overwritten by one private character repeated over its length, so that the text
keeps its positions and a pattern can say "two streets" without knowing their names.
"""

from __future__ import annotations

import re

from grid.geocode.numbers import NUMERAL

STREET0, PLACE0, COMMUNITY0, NUMBER0, KM0, FACILITY0 = (
    0xE000,
    0xE400,
    0xE800,
    0xEC00,
    0xF000,
    0xF400,
)
S = "(?:([\ue000-\ue3ff])\\{}*)"
_S = "[\ue000-\ue3ff]+"
_P = "[\ue400-\ue7ff]+"
_N = "[\uec00-\uefff]+"
_K = "[\uf000-\uf3ff]+"
GONE = "\uf8ff"
DIRECTIONS = {
    "东": "east",
    "南": "south",
    "西": "west",
    "北": "north",
    "东南": "southeast",
    "东北": "northeast",
    "西南": "southwest",
    "西北": "northwest",
    "南东": "southeast",
    "北东": "northeast",
    "南西": "southwest",
    "北西": "northwest",
}
_D = "(?:东南|东北|西南|西北|[东南西北])"

KINDS = (
    "桥头|桥墩|小区|花园|家园|公寓|别墅|山庄|苑|新村|家属院|家属楼|大院|宿舍|菜市场|菜场|农贸市场|批发市场|市场|集市|超市|便利店|商场|商城|商厦|百货大楼|百货|大楼|大厦|广场|中心|公园|学校|小学|中学|初中|高中|大学|学院|幼儿园|托儿所|"
    "医院|卫生院|卫生室|诊所|药房|药店|银行|支行|储蓄所|信用社|邮局|邮政所|汽车站|火车站|客运站|地铁站|高铁站|车站|公交站台|公交站牌|公交站|候车亭|站台|加油站|加气站|充电站|变电站|收费站|水文站|中转站|垃圾站|停车场|停车楼|公共厕所|公厕|厕所|卫生间|"
    "体育馆|体育场|体育中心|图书馆|博物馆|文化馆|展览馆|纪念馆|科技馆|影院|电影院|剧院|剧场|宾馆|酒店|饭店|旅馆|招待所|餐馆|餐厅|烧烤店|网吧|酒楼|店|立交桥|大桥|高架桥|天桥|桥|隧道|涵洞|派出所|法院|检察院|镇政府|县政府|政府|公安局|税务局|局|管委会|居委会|村委会|村|"
    "社区|步道|观景台|码头|渡口|庙|寺|塔|教堂|祠堂|牌坊|厂|工业园|产业园|开发区|大转盘|转盘|环岛|喷泉|雕像|变电箱|配电箱|变压器|步行街|护学岗|岗亭|警务站|汽车城|建材城|商业城|美食城|水库|水厂|住院部|门诊部|急诊|食堂|养老院|敬老院|福利院|会所|俱乐部|实验室|仓库|工地"
)
KIND_WORDS = frozenset(KINDS.split("|"))
_GATE = rf"(?:(?:{_D}|[正后前侧大])门|{NUMERAL}+号门)"
SUB = (
    rf"(?:{_GATE}|出站口|进站口|{_D}?(?:出口|入口)|{NUMERAL}+号口|{_D}?桥头|{NUMERAL}+期|{NUMERAL}+(?:号楼|栋|幢|座|单元|组|队|区)|第?{NUMERAL}+号(?:桥墩|墩|站台|出口)|"
    rf"路口|\([^()]{{1,6}}(?:校区|院区|店|分店|分院)\)|{_D}区|{_D}院)"
)
# What may not stand inside a name: words that relate one place to another, or tell what happens.
_STOP = (
    "与|到|至|往|向|对面|对过|隔壁|旁边|旁|附近|门口|门前|门外|靠近|有人|有个|有|每晚|每天|占道|乱|之间|围墙|里面|后面|前面|的|，|在|往|从|自|由|左右|路[东南西北]|[东南西北](?:侧|边|面|角)"
    "|(?:往|向|朝)[东南西北]|[左右](?:侧|边)|不知道|什么|哪|怎么|发生|出现|堵|破损|缺失|不亮|损坏|漏水|垃圾"
)
_STUFF = rf"(?:(?!{_STOP})[\u4e00-\u9fffa-z0-9·])"
# Atomic and possessive throughout: a text of nothing but such words must not be split in every possible way.
LANDMARK = (
    rf"(?>(?:和?(?>{_STUFF}{{0,14}}?(?:{KINDS})(?!子))){{1,6}}+(?:{SUB}|(?:{KINDS})){{0,6}}+)"
)
PLACE_WITH_PARTS = rf"(?>{_P}(?:(?>{_STUFF}{{0,6}}?(?:{KINDS}))|{SUB}){{0,6}}+)"
LANDMARK_RE = re.compile(rf"({PLACE_WITH_PARTS})|(?<![\u4e00-\u9fff])({LANDMARK})")
PLACE_RE = re.compile(PLACE_WITH_PARTS)
BUILDING_RE = re.compile(rf"({NUMERAL}+(?:号楼|栋|幢)(?:{NUMERAL}+单元)?)")
SCHOOL_AFTER_STREET = re.compile(
    r"(?:小学|中学|学校|幼儿园|初中|高中|派出所|支行|大桥|桥|新村|小区|社区|居委会|地铁站)"
)
SUBDISTRICT_AFTER_STREET = re.compile(r"街道(?![上边旁两内路])")

CROSS_WORD = r"(?:(?:的)?(?:十字|丁字|t型|t字|三岔|y型)?(?:交叉路口|交叉口|交叉处|交叉|交汇处|交汇口|交汇|交界处|交界|交会处|相交处|交口|路口|街口|巷口|弄口|环岛|转盘|转角处?|拐角处?|三角地|口))"
_JOIN = r"(?:与|和|、|-|/|&|\+|及|跟|同|近|靠近|靠|,|\s|~)"
CROSSING_RE = re.compile(
    rf"([\ue000-\ue3ff])\1*(?:\([^()]*\)|\uf8ff+)?({_JOIN}{{0,2}})([\ue000-\ue3ff])\3*({CROSS_WORD})?(?:\s*({CROSS_WORD}))?"
)
END = rf"(?:{_S}(?:路口|口)?|{_N}|{_K}|{_GATE}|{PLACE_WITH_PARTS}|{LANDMARK})"
GATES_RE = re.compile(rf"({_GATE})(?:到|至|与|和)({_GATE})(?:之间)?")
SPAN_RE = re.compile(
    rf"(从|自|由)?({END})(?:起)?\s*(?:到|至|~|-)\s*({END})(?:之间|止|路段|这一段|这段|那一段|那段|一段|区间|段|一带)?"
)
SPAN_WORD_RE = re.compile("[到至~-]")
MAIN_BEHIND_RE = re.compile(r"(?:路上|路)?的([\ue000-\ue3ff])\1*")
BETWEEN_RE = re.compile(rf"({END})(?:与|和|、|跟)({END})(?:之间|中间)")
BETWEEN_WORD_RE = re.compile("[之中]间")

KM_RE = re.compile(r"k\s*(\d{1,4})\s*\+\s*(\d{1,3})")
KM_WORDS_RE = re.compile(
    rf"(?<=[\ue000-\ue3ff线道路])(?:第)?({NUMERAL}+)(?:公里|千米)(?:({NUMERAL}+)米)?(?=处|桩|里程|$)(?:处)?"
)
ROAD_CODE_RE = re.compile(
    r"(?:国道|省道|县道|乡道|村道|高速)?(?<![a-z0-9])([gsxyc]\d{2,4})(?!\d)(?:线|国道|省道|县道|乡道|高速公路|高速)?"
)
FACILITY_RE = re.compile(
    r"(?:编号|号码|杆号|编码)?[::]?"
    r"((?:第\d+号(?:公交站牌|公交站台|公交站|站牌|路灯|灯杆|电杆|井盖|桥墩))"
    r"|(?:[a-z]{1,5}-?\d{1,6}(?:号)?|\d{2,6}号)(?:路灯杆|路灯|灯杆|电线杆|电杆|雨水井盖|污水井盖|雨水井|污水井|检查井|窨井盖|井盖|消火栓|消防栓|配电箱|变电箱|信号灯|监控杆|公交站牌))"
)
FACILITY_BARE_RE = re.compile(r"(?:编号|杆号|号码)[::]?\s*([a-z]{0,5}-?\d{2,8})")

NUMBER_RE = re.compile(
    rf"(?:临)?(?:第)?{NUMERAL}+[a-z]?(?:(?:号|弄|巷|衖|支弄)(?:-?(?:附|之)?{NUMERAL}+[a-z]?|之[甲乙丙丁])|(?:-|之|附)(?:{NUMERAL}+|[甲乙丙丁])[a-z]?)*(?:号|弄|巷)?"
)
PLAIN_RE = re.compile(
    r"(?:[\u4e00-\u9fff]{2,4}[省市])?(?:[\ue800-\uebff]+|[\u4e00-\u9fff]{1,4}[区县市镇乡])*([\ue000-\ue3ff])\1*"
    r"(\d+(?:(?:弄|巷|号)\d+)?(?:(?:之|附|-)\d+)?号?)(?:门口|门前)?"
)
ASCII_LETTER_RE = re.compile(r"[gsxyc]\d\d")
KM_WORD_RE = re.compile(r"k\s*\d|公里|千米")
NOT_A_HOUSE_AFTER = re.compile(
    r"线|楼|门(?![口前外面])|桥墩|公交|站台|站牌|出口|口|路灯|灯杆|电杆|井|栋"
)
FACILITY_WORD_RE = re.compile("灯|杆|井|栓|箱|牌|站台|墩|编号|号码|公交")
NOT_A_NUMBER_AFTER = re.compile(
    r"(?:米|m\b|公里|千米|里|线|楼|门(?![口前外面])|栋|幢|座|层|组|桥墩|公交|站|出口|口|元|点|月|日|年|时|分|个|家|人|辆|天|次|处|条|期|名|块|%|路(?!段)|\+|[\ue000-\ue3ff])"
)

DIST = rf"(?:半(?:公里|里)|(?:{NUMERAL}+(?:\.\d+)?)\s*(?:多|余|来)?\s*(?:公里|千米|km|米|m\b|m(?=[^a-z])|里(?!程)))"
_ABOUT = r"(?:约|大约|大概|近|不到|走|方向)?"
HEADING_RE = re.compile(rf"(?:由|自|从)?({_D})(?:向|往|至)({_D})(?:方向|车道|行驶)?")
TOWARD_RE = re.compile(
    rf"(?:往|向|朝|以)({_D}|上游|下游)(?:方向|侧|边|面)?{_ABOUT}{_ABOUT}\s*({DIST})?"
)
BEARING_DIST_RE = re.compile(rf"({_D})(?:侧|边|面|方向)?{_ABOUT}\s*({DIST})")
DIST_RE = re.compile(DIST)
SIDE_RE = re.compile(
    rf"(?:路|街|道|桥|河)({_D})(?!门|段|头|路|街)(?:侧|边|面)?|({_D})(?:侧|边|面|角|墙|半幅|路边)"
)
PART_RE = re.compile(rf"^\s*({_D}|中)(?:段|头(?!桥)|部|端|入口|出口|口)")
COUNTED_RE = re.compile(
    rf"(?:第{NUMERAL}+个|[下前]一?个|(?:过|隔)(?:了)?(?:{NUMERAL}+|几)个)(?:十字|丁字|三岔)?(?:路口|街口|红绿灯|岔路口|岔口|交叉口|巷口|弄口)"
)
WHOLE_RE = re.compile(r"^\s*(?:全线|全段|全路段|沿线)")
FIXED_SIDES = (
    (re.compile(r"斜对面|对面|对过|对门|正对"), "opposite"),
    (re.compile(r"两侧|两边|双侧|两旁"), "both"),
    (re.compile(r"左侧|左边|路左|左岸|左手"), "left"),
    (re.compile(r"右侧|右边|路右|右岸|右手"), "right"),
    (re.compile(r"中央|中间|路中|中分带"), "middle"),
    (re.compile(r"内侧"), "inner"),
    (re.compile(r"外侧|墙外|^外"), "outer"),
    (re.compile(r"靠河|临河|沿河|临江|靠江"), "riverside"),
)
UNDER_RE = re.compile(r"^(?:下面|底下|下方|下)")
NOISE_START = re.compile(
    r"^(?:[东南西北中]段|市民|群众|居民|来电人?|有人|热心|网友|业主|商户|投诉|举报|反映|反应|反馈|请处理|请|处理|帮忙|就在|位于|在|地址|地点|位置|案发|[:,;.!\s]|靠近|临近|近|那个|这个|的|我们|我|称|说|那边|这边|这里|旁边)+"
)
FORMER_RE = re.compile(r"\((?:原|旧称|旧名|曾用名|又名|原名|俗称|现)[^()]*\)")
TOWARD_BRACKET_RE = re.compile(r"\((?:往|去|开往|向)[^()]*\)")

_ROADISH = "大道|大街|支路|公路|胡同|路|街|巷|道"
UNKNOWN_STREET_RE = re.compile(
    rf"((?:(?![号弄层栋幢])[\u4e00-\u9fff]){{1,7}}?)({_ROADISH})(?!灯|段|面|边|旁|人|障|牌|况|基|沿|中|侧|办|上|头|子|过|南|北|东|西|道|线|杆|德|堵|(?:口(?!岸)))"
)
NOT_A_STREET_NAME = re.compile(
    r"(?:什么|哪|那条|这条|一条|某条?|条|马|道|公|铁|大|小|半|走|修|堵|占|过|沿|同|迷|出|线|电|网|水|人行|步行|步|上|逛|车|机动|慢车|非机动车|街|巷|辅|便|通|盲|河|隧|轨|渠|管|频|知|味|报|地|跑|赛|频|后面|前面|旁边|窄)$"
)
NOT_WHOLE = frozenset(
    (
        "马路",
        "道路",
        "公路",
        "铁路",
        "小路",
        "大路",
        "街道",
        "大街",
        "小巷",
        "人行道",
        "通道",
        "步行街",
        "小街",
        "辅道",
        "便道",
        "车道",
    )
)
