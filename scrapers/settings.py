"""Scrapy's settings for every spider: gather slowly, openly, and only what a site allows."""

BOT_NAME = "babelbeam"
USER_AGENT = "BabelBeam/0.1 (research crawler for comparative political science)"
SPIDER_MODULES = ["scrapers.spiders"]

ROBOTSTXT_OBEY = True
CONCURRENT_REQUESTS_PER_DOMAIN = 1
DOWNLOAD_DELAY = 1  # seconds
TELNETCONSOLE_ENABLED = False
