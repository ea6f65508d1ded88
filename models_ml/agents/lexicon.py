"""Candor's own lexicon of market language: words with a weight from −3 to 3, and the words that turn or scale them.

Written for this platform by judgement, word by word; no published list was its source. Entries are base
forms: `polarity.bases` brings a word of a text back to them. A direction (`UP`, `DOWN`) is good or bad only with what
moves: less cost is good, less profit is bad (`GOOD`, `BAD`).
"""

from collections.abc import Mapping


def _weighed(groups: Mapping[float, str]) -> dict[str, float]:
    return {word: weight for weight, words in groups.items() for word in words.split()}


POLARITY: dict[str, float] = _weighed(
    {
        3.0: """
        outperform skyrocket record-breaking blockbuster breakthrough triumph stellar exceptional upgrade bullish
        windfall
        """,
        2.0: """
        beat exceed surpass outpace profitable success successful win strong strongest stronger strength robust
        excellent great impressive improve improvement improved optimistic optimism upbeat upside rebound recover
        recovery thrive flourish boom booming buoyant outstrip record-high all-time-high milestone breakout
        undervalued lucrative accretive overweight reward rally resilient resilience favourable favorable favourably
        favorably bargain
        """,
        1.0: """
        good better best positive positively gain benefit confident confidence attractive promising healthy solid
        stabilise stabilize efficient pleased award awarded strengthen happy smooth competitive buyback reassure
        reassuring encouraging achieve achievement savings synergy accelerate land clinch breaks accumulate oversold
        moon hodl inflow inflows uptrend breakouts bounce vindicate settle resolve cure momentum favour favor
        impressed delighted ramp-up easier ideal valuable reward rewarded honoured honored prestigious proud excited
        trusted user-friendly cost-effective cost-efficient fastest-growing high-quality well-positioned comfortable
        hopeful brisk vigorous lively revive revival double-digit profitability
        """,
        0.5: """
        advantage opportunity progress stable steady secure support supportive efficiency enhance enhancement
        innovative innovation leading leader popular satisfied satisfaction welcome adoption partnership agreement
        collaborate cooperation expansion hire launch unveil modernise modernize streamline energise energize
        sustainable reliable ease encourage enjoy attain deal order strategic flexibility buy buying long halving
        cheap approve approval exclusive reputation ranked world-class state-of-the-art cutting-edge speed quick
        succeed chosen selected ahead contract bid interest sign signed
        """,
        -0.5: """
        challenge dispute question risk pressure problem regulator short shorting sell selling puts suspend suspension
        restrict delay postpone slow exit quit investigation inquiry scrutiny investigate inquire tension strike hurt
        drag warn deny reject rejection idle cautious caution temporary unable unless cancel protest restructure
        restructuring
        """,
        -1.0: """
        bad worse weak weaker weakest weakness soft softer slowdown sluggish slower concern worry worried uncertain
        uncertainty challenging difficult difficulty struggle halt cancellation complaint criticise criticize
        criticism doubt risky negative negatively adverse unfavourable unfavorable disappointing disappointed
        disappoint miss lag lackluster lacklustre underweight volatile volatility shortage hit harm hitting burden
        expensive overvalued overbought pessimistic gloomy unrest sanction probe crackdown ban curb warning selloff
        bearish outflow outflows downtrend resistance cloud cautiously fear headwind strained tough tougher turmoil
        below-par denied unpaid stoppage closure resign resignation oust poor poorly stranded delist deviation bleak
        grim dismal troubled trouble woe dent overshadow insufficient inadequate ineffective unfortunately regrettably
        fatal explosion spill leak boycott bottleneck embargo accident vandalism overcapacity oversupply disruption
        disrupt uncompetitive unfit unsafe unpopular unstable instability misleading mislead wrongdoing complaint
        dissatisfied unhappy threat threaten sour stumble stall glut backlash controversy feud misconduct overrun
        underestimate error
        """,
        -2.0: """
        lose loses losing lost loss-making layoff layoffs dismiss redundancy redundancies unprofitable deteriorate
        deterioration worsen worst worrying downgrade downside underperform weaken shortfall crisis recession
        depression stagnation stagnate writedown write-down writeoff write-off impairment lawsuit sue penalty fined
        fines violation breach scandal hack hacked exploit stolen theft vulnerability damage hamper grapple dilution
        overdue default insolvent insolvency liquidation liquidate bubble selloff slump scam cheat illegal unlawful
        guilty sentence arrest indict charges corrupt corruption laundering sanctioned abandon collapse panic
        capitulate profit-warning fail failed failure distressed downturn contagion casualty injury lay-off dismissal
        downsizing downsize unsuccessful
        """,
        -3.0: """
        bankrupt bankruptcy fraud fraudulent crash plunge plummet catastrophe catastrophic disaster disastrous
        meltdown ponzi rugpull wipeout devastate devastating nosedive ruin ruined embezzle
        """,
    }
)
"""Base form → weight, good above 0."""

PHRASES: dict[tuple[str, ...], float] = {
    tuple(words.split()): weight
    for weight, group in {
        3.0: ["record high", "all time high", "record profit", "raises guidance", "raised its guidance"],
        2.0: [
            "better than expected", "higher than expected", "above expectations", "beat expectations",
            "ahead of schedule", "back to profit", "return to profit", "turned to profit", "new high",
            "letter of intent",
            "price target raised", "long term agreement", "will be used by", "chosen by", "selected by",
            "market leader", "going up", "record sales", "record quarter", "record year",
            "record earnings", "record revenue", "record orders", "largest ever", "best ever",
            "break even", "on track", "in the black", "stock split",
        ],
        -2.0: [
            "lower than expected", "worse than expected", "below expectations", "missed expectations",
            "profit warning",
            "issued a profit", "in the red", "data breach", "price target cut", "new low", "record low", "year low",
            "below the level", "behind schedule", "going down", "step down", "steps down", "stepping down",
            "shut down",
            "shuts down", "write off", "lay off", "laid off", "job cuts", "cut jobs", "cuts jobs", "under pressure",
            "short of", "class action", "lost ground", "loses ground", "hardest hit", "badly prepared",
            "antitrust probe",
        ],
        -0.8: ["operating loss", "net loss", "pretax loss", "loss of", "pre-tax loss"],
        -3.0: ["chapter 11", "rug pull", "bank run", "going concern", "fire sale"],
    }.items()
    for words in group
}  # fmt: skip
"""Words in a row → their weight together, instead of those of the single words."""

UP = frozenset(
    """
    rise increase grow growth climb jump surge soar double triple quadruple tripled raise lift boost up higher swell
    spike leap upturn uptick above upwards upward more larger bigger exceed hike rocket outgrow widen rally rebound
    recover gain improve accelerate strengthen expand increment rising upped
    """.split()  # noqa: SIM905  # a paragraph of words reads better than a column of strings
)
"""Movements and comparisons upwards."""

DOWN = frozenset(
    """
    fall decrease decline drop slip slide tumble sink shrink reduce cut lower slash trim narrow halve dip retreat down
    less fewer smaller below dwindle erode diminish shed plunge plummet slump lag weaken slow ease crash dive nosedive
    downturn downwards downward cutback reduction backslide fade wane subside tank
    """.split()  # noqa: SIM905  # as above
)
"""Movements and comparisons downwards."""

GOOD = frozenset(
    """
    sale profit revenue turnover earning income margin share demand order volume stock dividend output production
    capacity traffic passenger growth profitability guidance forecast outlook target result cash cashflow market index
    gdp employment job export ebit ebitda eps circulation subscriber user customer backlog rating return yield value
    valuation price payout workforce staff personnel employee headcount consumption investment lending deposit premium
    fare footfall visit visitor booking delivery shipment license installation reader readership figure performance
    reserve surplus bitcoin ether ethereum token coin crypto hashrate liquidity euro dollar pound yen franc confidence
    sentiment pmi spending housing start import turnover ebita contract productivity efficiency position activity
    tonne loan fund asset equity ratio audience viewing popularity factor goodwill manufacturing trade gold oil crude
    nasdaq dow dax ftse estimate
    """.split()  # noqa: SIM905  # as above
)
"""What is good when it rises."""

BAD = frozenset(
    """
    loss cost expense debt unemployment jobless claim inflation deficit risk default complaint churn delay liability
    impairment tax tariff bankruptcy volatility fee fine emission expenditure foreclosure delinquency provision
    writedown shortage spread indebtedness burden cpi ppi fear uncertainty death accident defect recall outage
    redundancy layoff absence overdue backwardation liquidation penalty lawsuit vacancy waste gearing leverage
    """.split()  # noqa: SIM905  # as above
)
"""What is bad when it rises."""

EVENTS: tuple[tuple[frozenset[str], frozenset[str], float], ...] = tuple(
    (frozenset(verbs.split()), frozenset(objects.split()), weight)
    for verbs, objects, weight in (
        ("sign win receive award secure land clinch extend ink bag seal",
         "contract order deal agreement framework commission tender mandate licence license", 2.0),
        ("choose select pick appoint name prefer", "supplier partner vendor provider contractor", 1.5),
        ("strengthen expand enhance improve consolidate reinforce extend broaden widen boost",
         "position presence portfolio offering range network structure cooperation collaboration partnership footprint"
         " competitiveness capability platform business", 1.5),
        ("create add bring generate enable deliver", "value saving synergy benefit opportunity", 1.0),
        ("return get come", "profitability profit growth black", 1.5),
        ("open inaugurate build construct", "store factory plant shop mill office branch line", 0.5),
        ("launch introduce unveil debut", "product service solution model version platform fund", 0.5),
        ("raise lift increase upgrade up boost hike", "dividend guidance forecast outlook target estimate rating", 1.0),
        ("propose pay declare announce", "dividend payout buyback", 0.5),
        ("buy outperform accumulate overweight", "recommendation rating advice recommend reiterate", 1.5),
        ("sell underperform reduce underweight", "recommendation rating advice recommend reiterate", -1.5),
        ("cut lay dismiss shed axe slash fire sack redundant eliminate reduce terminate trim lose",
         "job employee staff personnel worker workforce position people headcount", -2.0),
        ("start begin open announce conclude", "layoff redundancy co-determination cooperation-negotiation", -1.5),
        ("close shut halt stop discontinue suspend idle curtail mothball cease wind",
         "plant factory mill production unit store branch operation line site flight work service", -1.5),
        ("cancel lose postpone delay miss scrap terminate", "order contract project deal flight launch delivery", -1.5),
        ("cut lower downgrade slash reduce trim withdraw suspend scrap omit",
         "dividend guidance forecast outlook target estimate rating", -1.5),
        ("issue give publish", "warning", -2.0),
        ("face file bring lose", "lawsuit claim charge fine penalty probe suit complaint", -1.0),
        ("recall", "product car vehicle phone battery", -1.5),
    )
)  # fmt: skip
"""Verbs, what they happen to, and the weight of the two together within `polarity.EVENT_REACH` words."""

NEGATIONS = frozenset(
    """
    not no never without neither nor hardly barely n't cannot can't won't don't doesn't didn't isn't aren't wasn't
    weren't wouldn't shouldn't couldn't fails failed lack lacks stops stopped
    """.split()  # noqa: SIM905  # as above
)
"""Turn what follows within `polarity.REACH` words."""

EXEMPT = frozenset("goods halving outstanding fine tops means news series added adding".split())  # noqa: SIM905  # as above
"""Words that are not what their endings say."""

SCALES: dict[str, float] = _weighed(
    {
        1.5: "very sharply strongly significantly considerably substantially dramatically heavily massively hugely"
        " extremely steeply clearly notably markedly drastically particularly major deep",
        0.6: "slightly somewhat marginally modestly moderately barely slight minor modest nearly partly"
        " partially almost",
    }
)
"""Stretch or shrink the next weighed word."""

IRREGULAR: dict[str, str] = {
    form: base
    for base, forms in {
        "rise": "rose risen", "fall": "fell fallen", "grow": "grew grown", "sink": "sank sunk",
        "shrink": "shrank shrunk", "lose": "lost", "win": "won", "beat": "beaten", "slide": "slid", "buy": "bought",
        "sell": "sold",
        "shed": "shed", "hit": "hit", "cut": "cut cuts cutting", "slip": "slipped slipping",
        "drop": "dropped dropping", "hurt": "hurt",
        "trim": "trimmed trimming", "dip": "dipped dipping", "plan": "planned", "ban": "banned", "swell": "swollen",
        "analysis": "analyses", "loss": "losses", "crisis": "crises", "dive": "dove", "leap": "leapt",
        "slow": "slowed", "profit": "profits", "tax": "taxes", "earning": "earnings", "hedge": "hedged",
        "lag": "lagged", "sue": "sued", "bid": "bidding", "freeze": "froze frozen", "steal": "stole",
        "begin": "began begun", "get": "got gotten", "choose": "chose chosen", "build": "built", "lay": "laid",
        "shut": "shut shutting", "wind": "wound", "give": "gave given", "come": "came", "bring": "brought",
        "default": "defaulted", "halve": "halved", "top": "topped topping", "up": "upped", "succeed": "succeeded",
    }.items()
    for form in forms.split()
}  # fmt: skip
"""Forms that the rules of `polarity.bases` do not reach."""

WORDS = (
    sum(len(verbs | things) for verbs, things, _ in EVENTS)
    + len(POLARITY)
    + len(PHRASES)
    + len(UP | DOWN)
    + len(GOOD | BAD)
    + len(NEGATIONS)
    + len(SCALES)
)
"""Entries in all."""
