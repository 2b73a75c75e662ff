"""Gathering: the Scrapy project's package. Its spiders come with the crawlers; nothing here runs yet."""
