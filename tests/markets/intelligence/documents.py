"""Documents of feeds for tests, in their documented shapes."""

RSS = b"""<?xml version="1.0" encoding="UTF-8"?>
<rss version="2.0" xmlns:dc="http://purl.org/dc/elements/1.1/"><channel><title>Wire</title><language>en-us</language>
<item><title>Bitcoin &amp; ether rise &lt;b&gt;sharply&lt;/b&gt;</title><link>https://news.example/1</link>
<guid isPermaLink="false">n1</guid><pubDate>Fri, 02 Feb 2024 15:38:14 +0000</pubDate></item>
<item><title>Dollar slips before payrolls</title><link>https://news.example/2</link>
<dc:date>2024-02-02T10:00:00Z</dc:date></item>
<item><title>   </title><link>https://news.example/3</link></item>
<item><title>No date at all</title><guid>https://news.example/4</guid></item>
</channel></rss>"""

ATOM = b"""<?xml version="1.0" encoding="utf-8"?>
<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="en"><title>Wire</title>
<entry><title type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml">Gold <b>falls</b></div></title>
<link rel="self" href="https://news.example/feed"/><link href="https://news.example/a"/>
<id>urn:uuid:1</id><updated>2024-02-02T12:00:00+01:00</updated></entry>
<entry xml:lang="de"><title>Euro steigt</title><id>https://news.example/b</id>
<published>2024-02-01T00:00:00Z</published></entry></feed>"""

JSON_FEED = b"""{"version": "https://jsonfeed.org/version/1.1", "title": "Wire", "items": [
{"id": "1", "url": "https://news.example/j1", "title": "Solana rallies", "date_published": "2024-02-02T09:00:00Z",
 "language": "en"}, {"id": "2", "content_text": "no title"}]}"""

ARTICLES = b"""{"status": "ok", "articles": [{"source": {"id": null, "name": "The Wire"}, "title": "XRP drops 9 %",
"url": "https://news.example/x", "publishedAt": "2024-02-02T09:00:00Z"}]}"""

FEAR_GREED = b"""{"name": "Fear and Greed Index", "data": [
{"value": "40", "value_classification": "Fear", "timestamp": "1706832000", "time_until_update": "68499"},
{"value": "47", "value_classification": "Neutral", "timestamp": "1706745600"},
{"value": "400", "timestamp": "1706659200"}], "metadata": {"error": null}}"""

CALENDAR = b"""time,currency,impact,title,id
2024-02-02T13:30:00Z,USD,High,Nonfarm payrolls,a1
2024-02-02T15:00:00Z,usd,medium,Consumer sentiment,a2
2024-02-05T09:00:00+01:00,EUR,1,Trade balance,a3
2024-02-05,EUR,low,A day without a minute,a4
2024-02-06T09:00:00Z,EUR,holiday,Nothing,a5
"""

ICS = b"""BEGIN:VCALENDAR\r
VERSION:2.0\r
PRODID:-//example//calendar//EN\r
BEGIN:VEVENT\r
UID:e1@example\r
DTSTART:20240202T133000Z\r
SUMMARY:USD: Nonfarm payrolls\r
PRIORITY:1\r
END:VEVENT\r
BEGIN:VEVENT\r
UID:e2@example\r
DTSTART;TZID=Europe/Berlin:20240208T141500\r
SUMMARY:Rate decision\r
CATEGORIES:EUR,medium\r
END:VEVENT\r
BEGIN:VEVENT\r
UID:e3@example\r
DTSTART;VALUE=DATE:20240209\r
SUMMARY:GBP: a whole day\r
PRIORITY:1\r
END:VEVENT\r
BEGIN:VEVENT\r
UID:e4@example\r
DTSTART:20240210T100000Z\r
RRULE:FREQ=DAILY\r
SUMMARY:GBP: every day\r
PRIORITY:9\r
END:VEVENT\r
BEGIN:VEVENT\r
UID:e5@example\r
DTSTART:20240211T100000Z\r
SUMMARY:nobody's event\r
PRIORITY:9\r
END:VEVENT\r
END:VCALENDAR\r
"""
