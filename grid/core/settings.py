"""Settings in small groups, read once at start from the environment and passed down.

`.env.example` explains each in a sentence; a test fails when one is missing there.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

PROJECT_ROOT = Path(__file__).resolve().parent.parent.parent


class DatabaseSettings(BaseSettings):
    """Where the data lives: the private cluster in `home`, or the server of `database_url`."""

    model_config = SettingsConfigDict(env_prefix="GRIDWARD_", extra="ignore")

    home: Path = PROJECT_ROOT / ".gridward"
    database_url: str | None = None
    postgres_bin: Path | None = None
    pool_size: int = Field(default=10, ge=1, le=200)
    statement_timeout_ms: int = Field(default=60_000, ge=0)
    database_listen: str | None = None

    @cached_property
    def home_folder(self) -> Path:
        """`home` as an absolute path."""
        return self.home.expanduser().resolve()


class TownSettings(BaseSettings):
    """What the town keeps by: zone, office hours, how far a report may lie from a street."""

    model_config = SettingsConfigDict(env_prefix="GRIDWARD_", extra="ignore")

    time_zone: str = "Asia/Shanghai"
    country: str = "CN"
    office_hours: str = "08:00-12:00,14:00-18:00"
    reach_m: float = Field(default=250.0, gt=0)
    neighbour_m: float = Field(default=20.0, ge=0)
    disagreement_m: float = Field(default=200.0, gt=0)
    place_confidence: float = Field(default=0.5, ge=0, le=1)
    street_share: float = Field(default=0.6, gt=0, le=1)
    reporter_days: int = Field(default=365, ge=1)
    merged_stations: str = ""
    unit_station: bool = False
    check_needed: bool = True
    separate_units: bool = True
    photo_needed: bool = True
    rework: Literal["runs_on", "starts_anew"] = "runs_on"
    linkage: Literal["category", "by_hand"] = "category"
    machine_m: float = Field(default=20.0, gt=0, le=200)
    machine_minutes: float = Field(default=60.0, gt=0, le=10_080)
    alike_sure_m: float = Field(default=15.0, ge=0, le=500)
    alike_reach_m: float = Field(default=80.0, gt=0, le=500)
    alike_half_life_hours: float = Field(default=24.0, gt=0, le=720)
    alike_window_hours: float = Field(default=168.0, gt=0, le=2160)
    alike_shown_from: float = Field(default=0.5, ge=0, le=1)
    alike_flagged_from: float = Field(default=0.75, ge=0, le=1)
    position_days: int = Field(default=30, ge=1)
    done_at_hours: float = Field(default=24.0, ge=0, le=240)

    @cached_property
    def zone(self) -> ZoneInfo:
        """The town's time zone."""
        return ZoneInfo(self.time_zone)


class WebSettings(BaseSettings):
    """The web side: sign-in, uploads, base map."""

    model_config = SettingsConfigDict(env_prefix="GRIDWARD_", extra="ignore")

    session_hours: int = Field(default=12, ge=1)
    field_session_days: int = Field(default=14, ge=0, le=365)
    token_hours: int = Field(default=12, ge=1)
    failed_sign_ins_per_minute: int = Field(default=20, ge=1)
    open_reports_per_minute: int = Field(default=60, ge=1)
    open311: bool = True
    upload_limit_mb: int = Field(default=20, ge=1)
    video_limit_mb: int = Field(default=100, ge=1)
    document_limit_mb: int = Field(default=20, ge=1)
    export_hours: int = Field(default=24, ge=1)
    import_limit_mb: int = Field(default=500, ge=1)
    secure_cookies: bool = False
    default_language: Literal["zh", "en"] = "zh"
    base_map_url: str | None = None
    base_map_datum: Literal["wgs84", "gcj02", "bd09"] = "wgs84"
    base_map_attribution: str = ""


class NoticeSettings(BaseSettings):
    """What leaves the town: gateways, quiet hours, pauses between tries, other systems, the worker."""

    model_config = SettingsConfigDict(env_prefix="GRIDWARD_", extra="ignore")

    worker: bool = True
    sms_url: str = ""
    mail_url: str = ""
    public_url: str = ""
    quiet_hours: str = "22:00-07:00"
    digest_seconds: float = Field(default=60.0, ge=0)
    retry_seconds: str = "10,30,120,600,1800,7200,21600"
    send_seconds: float = Field(default=10.0, gt=0, le=120)
    lane_sends: int = Field(default=2, ge=1, le=16)
    push_contact: str = "mailto:gridward@localhost"
    private_networks: str = ""

    @cached_property
    def retry_pauses_s(self) -> tuple[float, ...]:
        """The pauses between tries, in seconds."""
        return tuple(float(part) for part in self.retry_seconds.split(",") if part.strip())


class StoreSettings(BaseSettings):
    """Where the files of evidence lie: the home, or a bucket of an S3-compatible store."""

    model_config = SettingsConfigDict(env_prefix="GRIDWARD_S3_", extra="ignore")

    bucket: str = ""
    endpoint: str = ""
    region: str = "us-east-1"
    key: str = ""
    secret: str = ""
    prefix: str = ""


class OidcSettings(BaseSettings):
    """The bureau's identity provider (OpenID Connect); none without an issuer."""

    model_config = SettingsConfigDict(env_prefix="GRIDWARD_", extra="ignore")

    oidc_issuer: str | None = None
    oidc_client_id: str = "gridward"
    oidc_client_secret: str | None = None
    oidc_username_claim: str = "preferred_username"
    oidc_label: str = ""


class OutsideSettings(BaseSettings):
    """Geocoders outside the town, asked only about what waits for a place; none unless named in `sources`."""

    model_config = SettingsConfigDict(env_prefix="GRIDWARD_OUTSIDE_", extra="ignore")

    sources: str = ""
    city: str = ""
    timeout_s: float = Field(default=4.0, gt=0, le=60)
    keep_days: int = Field(default=30, ge=1)
    nominatim_url: str = "https://nominatim.openstreetmap.org"
    tianditu_url: str = "https://api.tianditu.gov.cn"
    tianditu_key: str = ""
    amap_url: str = "https://restapi.amap.com"
    amap_key: str = ""
    baidu_url: str = "https://api.map.baidu.com"
    baidu_key: str = ""
    tencent_url: str = "https://apis.map.qq.com"
    tencent_key: str = ""


class Settings:
    """All groups, made once."""

    def __init__(
        self,
        database: DatabaseSettings | None = None,
        town: TownSettings | None = None,
        web: WebSettings | None = None,
        notices: NoticeSettings | None = None,
        oidc: OidcSettings | None = None,
        store: StoreSettings | None = None,
    ) -> None:
        self.database = database or DatabaseSettings()
        self.town = town or TownSettings()
        self.web = web or WebSettings()
        self.notices = notices or NoticeSettings()
        self.oidc = oidc or OidcSettings()
        self.store = store or StoreSettings()
